"""`manage.py check_profile`: every problem with file, line and mend; a right profile in words; the schema that editors use."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from firmware import profile
from firmware.language.summary import warnings
from firmware.management.commands.check_profile import schema
from firmware.tests.test_profile import GOOD
from robotctl.environment import ROOT


def check(*files: Any) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("check_profile", *map(str, files), stdout=out, stderr=err)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def written(folder: Path, text: str) -> Path:
    path = folder / "robot.toml"
    path.write_text(text)
    return path


def test_every_problem_is_told_with_its_line_and_what_would_be_right(tmp_path: Path) -> None:
    text = GOOD.replace('path = "/state"', 'path = "state"\nevry_s = 5').replace('class = "motion"', 'class = "fly"')
    code, out, err = check(written(tmp_path, text))
    assert (code, out) == (1, "")
    lines = err.splitlines()
    at = {line: f"robot.toml:{number}" for number, line in enumerate(text.splitlines(), start=1)}
    path, pace, kind = at['path = "state"'], at["evry_s = 5"], at['class = "fly"']
    assert len(lines) == 3
    assert any(line.startswith(f"{path}: reads.state.path: must be a path") for line in lines)
    assert any(line.endswith('For example: path = "/api/v1/state"') for line in lines)
    assert f"{pace}: reads.state.evry_s: unknown key. Did you mean `every_s`?" in lines
    assert any(line.startswith(f"{kind}: commands.move.class: ") for line in lines)


@pytest.mark.parametrize(("text", "words"), [
    ("[about\nx = 1", "robot.toml:1: not TOML"),
    (GOOD.replace('IDLE = "idle"', 'IDLE = "idel"'), "'idel' is not a machine state"),
    (GOOD + "[commands.stop]\nclass = 'stop'\npath = '/x'\n", "commands.stop: is not a command; it has a table of its own: [stop]"),
])  # fmt: skip
def test_what_is_wrong_ends_with_one(tmp_path: Path, text: str, words: str) -> None:
    code, _, err = check(written(tmp_path, text))
    assert code == 1 and words in err


def test_a_file_that_is_not_there_and_one_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "robot.toml").write_bytes(b"\xff\xfe")
    code, _, err = check("nope", tmp_path, tmp_path / "robot.toml")
    first, second, third = err.splitlines()
    assert code == 1
    assert first.startswith("nope: cannot be read: ") and "oht50" in first
    assert "cannot be read" in second and third == "robot.toml: is not UTF-8 text"
    with pytest.raises(CommandError, match="Name at least one profile"):
        call_command("check_profile")


def test_one_wrong_file_does_not_hide_what_the_others_say(tmp_path: Path) -> None:
    code, out, err = check(written(tmp_path, "x = "), "oht50")
    assert code == 1 and "OHT-50" in out and "not TOML" in err


@pytest.mark.parametrize("name", profile.available())
def test_every_installed_profile_is_right_and_told_in_words(name: str) -> None:
    code, out, err = check(name)
    spec = profile.load(name)
    assert (code, err) == (0, "")
    for word in (spec.about.title, *spec.reads, *spec.fields, *spec.commands, *spec.auth.tokens, *spec.constants):
        assert word in out
    assert "stopped reads machine_state = estopped" in out


def test_what_is_left_open_is_told_and_is_no_error(tmp_path: Path) -> None:
    unseen = GOOD.replace("[commands.move]", '[commands.lamp]\nclass = "config"\npath = "/lamp"\n[commands.move]')
    code, out, _ = check(written(tmp_path, unseen))
    assert code == 0
    for words in (
        "fields.position_m: a number without",
        "nothing tells a restart",
        "reads (state): neither `alive` nor `taken_at`",
        "commands.lamp: not observable",
        "commands.move: motion without `states`",
        "commands.move.params.to: a number without",
        "reset: there is none",
    ):
        assert words in out


def test_a_profile_that_leaves_nothing_open_is_just_right() -> None:
    whole = GOOD.replace('path = "/state"', 'path = "/state"\nalive = "n"').replace(
        '[{ read = "state", path = "x" }]', '[{ read = "state", path = "x" }]\nunit = "m"'
    )
    whole = whole.replace("[auth]", '[auth]\nread_token = "admin"')
    whole = whole.replace('class = "motion"', 'class = "motion"\nstates = ["idle"]')
    whole = whole.replace(
        "[commands.move.params.to]", '[commands.move.params.to]\nunit = "m"\nminimum = 0\nmaximum = 9'
    )
    whole += (
        '[fields.up_s]\nunit = "s"\nuptime = true\nfrom = [{ read = "state", path = "up" }]\n[reset]\npath = "/reset"\n'
    )
    found, faults = profile.examine(whole)
    assert found is not None and not faults
    assert warnings(found) == []


def test_the_committed_schema_is_the_languages() -> None:
    """If this fails: manage.py check_profile --schema > docs/profile.schema.json"""
    out = io.StringIO()
    call_command("check_profile", "--schema", stdout=out)
    assert (ROOT / "docs" / "profile.schema.json").read_text(encoding="utf-8") == out.getvalue() == schema()


def test_the_schema_knows_every_key_that_the_language_knows() -> None:
    told = json.loads(schema())
    assert told["$schema"].startswith("https://json-schema.org/") and told["title"]
    parts = told["$defs"]
    assert set(parts["Profile"]["required"]) == {"about", "reads", "fields", "stop"}
    assert "from" in parts["Field"]["properties"] and "class" in parts["Command"]["properties"]
    assert parts["Profile"]["additionalProperties"] is False
