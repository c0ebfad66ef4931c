"""The stand-alone verifier: whatever one thing is changed in a journal, it is found and named."""

import copy
import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import seal_format as form
from accounts import verify
from accounts.examine import Item, Report, examine
from accounts.journal_models import JournalEntry, Seal
from robotctl.environment import ROOT

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
TRUSTED = [form.public_key(KEY)]
NO_DJANGO = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("django", "rest_framework", "celery", "structlog", "psycopg"):
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Refuse())
import runpy
sys.argv = ["verify", *sys.argv[1:]]
runpy.run_module("accounts.verify", run_name="__main__")
"""


def row(number: int, **more: Any) -> form.Row:
    base = dict.fromkeys(form.FIELDS, "")
    at = f"2026-11-27T08:00:{number % 60:02d}.{number:06d}Z"
    numbers = {"actor_id": number, "person_id": None, "origin_id": 1, "data": {"a": [1.5, None, "ü"]}}
    return {**base, **numbers, "id": number, "at": at, "late": False, "verb": "test.done", **more}


def seal(number: int, rows: list[form.Row], previous: str, key: Ed25519PrivateKey = KEY) -> form.Seal:
    closing = form.Closing()
    for one in rows:
        closing.add(one)
    return form.sign(closing.seal(number, sealed_at="2026-11-27T08:00:10.000000Z", previous=previous), key)


def journal(ranges: list[list[form.Row]], key: Ed25519PrivateKey = KEY) -> list[Item]:
    items: list[Item] = []
    previous = form.NOTHING
    for number, rows in enumerate(ranges, start=1):
        made = seal(number, rows, previous, key)
        previous = made["digest"]
        items += [*(("row", one) for one in rows), ("seal", made)]
    return items


def small() -> list[Item]:
    """Ids 3 to 22 in steps, some gaps, four seals."""
    ids = [3, 4, 5, 6, 7, 9, 10, 11, 15, 16, 17, 18, 20, 21, 22, 30]
    return journal([[row(one) for one in ids[at : at + 4]] for at in range(0, 16, 4)])


def named(report: Report) -> set[int | None]:
    return {one.id for one in report.findings}


def kinds(report: Report) -> set[str]:
    return {one.kind for one in report.findings}


def at(items: list[Item], number: int) -> int:
    return next(place for place, (kind, what) in enumerate(items) if kind == "row" and what["id"] == number)


def test_the_fields_are_those_of_the_table() -> None:
    assert form.FIELDS == JournalEntry.SEALED
    assert set(form.SEAL_FIELDS) == {one.name for one in Seal._meta.fields}


def test_a_whole_journal_is_intact() -> None:
    report = examine(small(), TRUSTED)
    assert (report.intact, report.rows, report.seals, report.unsealed) == (True, 16, 4, 0)


def test_two_rows_that_changed_places_are_told_as_that() -> None:
    items = small()
    one, other = at(items, 5), at(items, 16)  # in different seals
    five, sixteen = copy.deepcopy(items[one][1]), copy.deepcopy(items[other][1])
    items[one], items[other] = ("row", {**sixteen, "id": 5}), ("row", {**five, "id": 16})
    report = examine(items, TRUSTED)
    assert (kinds(report), named(report)) == ({"row_reordered"}, {5, 16})
    assert "Row 16 stands at the place of row 5." in [finding.words for finding in report.findings]


def test_two_lines_of_a_file_that_changed_places() -> None:
    items = small()
    one, other = at(items, 5), at(items, 6)
    items[one], items[other] = items[other], items[one]
    assert (kinds(examine(items, TRUSTED)), named(examine(items, TRUSTED))) == ({"row_reordered"}, {5, 6})
    items = small()
    items.append(items.pop(at(items, 5)))
    report = examine(items, TRUSTED)
    assert (kinds(report), named(report)) == ({"row_reordered"}, {5})


def test_another_number_for_a_row() -> None:
    items = small()
    items[at(items, 7)] = ("row", {**row(7), "id": 8})
    report = examine(items, TRUSTED)
    assert (kinds(report), named(report)) == ({"row_reordered"}, {7, 8})


def test_a_seal_that_is_gone_names_what_nobody_vouches_for() -> None:
    items = [item for item in small() if item[0] == "row" or item[1]["number"] != 2]
    report = examine(items, TRUSTED)
    assert [one.words for one in report.findings] == ["Seal 2 is missing. Nothing vouches for the 4 rows 7 to 11."]


def test_everything_signed_again_with_another_key() -> None:
    items = journal([[row(one)] for one in range(1, 4)], OTHER)
    report = examine(items, TRUSTED)
    assert kinds(report) == {"seal_untrusted"}
    assert [one.seal for one in report.findings] == [1, 2, 3]


def test_part_of_a_journal_is_held_against_the_witnesses() -> None:
    part = [item for item in small() if item[0] == "seal" or item[1]["id"] % 3 == 0]
    assert examine(part, TRUSTED, complete=False).intact
    part[at(part, 9)] = ("row", {**row(9), "reason": "another"})
    report = examine(part, TRUSTED, complete=False)
    assert (kinds(report), named(report)) == ({"row_altered"}, {9})


texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5)  # fmt: skip
changes = {
    "at": "2020-01-01T00:00:00.000000Z", "late": True, "actor_id": -1, "person_id": -1, "origin_id": -1, "request_id": "!",
    "verb": "!", "target": "!", "robot": "!", "outcome": "!", "reason": "!", "data": {"!": "!"},
}  # fmt: skip


@st.composite
def journals(draw: Any) -> tuple[list[list[form.Row]], Any]:
    ids = sorted(draw(st.sets(st.integers(1, 500), min_size=3, max_size=24)))
    rows = [row(one, reason=draw(texts), data=draw(st.dictionaries(texts, values, max_size=2))) for one in ids]
    size = draw(st.integers(1, 6))
    return [rows[place : place + size] for place in range(0, len(rows), size)], draw


@settings(max_examples=300, deadline=None)
@given(journals(), st.sampled_from(["alter", "delete", "insert", "swap", "seal", "unseal"]))
def test_any_one_change_is_found_and_named(made: Any, change: str) -> None:
    ranges, draw = made
    items = journal(ranges)
    assert examine(items, TRUSTED).intact
    places = [place for place, (kind, _) in enumerate(items) if kind == "row"]
    seals = [place for place, (kind, _) in enumerate(items) if kind == "seal"]
    place = draw(st.sampled_from(places))
    number = items[place][1]["id"]
    if change == "alter":
        name = draw(st.sampled_from(sorted(changes)))
        items[place] = ("row", {**items[place][1], name: changes[name]})
        expected = {number}
    elif change == "delete":
        del items[place]
        expected = {number}
    elif change == "insert":
        free = draw(st.sampled_from(sorted(set(range(502)) - {items[one][1]["id"] for one in places})))
        after = [one for one in range(len(items)) if items[one][0] == "row" and items[one][1]["id"] > free]
        if not after:
            return  # after everything that is sealed: not sealed yet
        items.insert(after[0], ("row", row(free)))
        expected = {free}
    elif change == "swap":
        other = draw(st.sampled_from([one for one in places if one != place]))
        items[place], items[other] = (
            ("row", {**items[other][1], "id": number}),
            ("row", {**items[place][1], "id": items[other][1]["id"]}),
        )
        expected = {number, items[other][1]["id"]}
    elif change == "seal":
        place = draw(st.sampled_from(seals))
        name = draw(
            st.sampled_from(["sealed_at", "first_id", "last_id", "count", "previous", "digest", "witness", "signature"])
        )
        old = items[place][1][name]
        items[place] = ("seal", {**items[place][1], name: old + 1 if isinstance(old, int) else "A" + old[:-1] + "="})
        report = examine(items, TRUSTED)
        assert items[place][1]["number"] in {one.seal for one in report.findings if one.kind == "seal_altered"}
        return
    else:
        place = draw(st.sampled_from(seals[:-1] or seals))
        if place == seals[-1] or items[place][1]["number"] == 1:
            return  # the newest is held by the head, the first by where a file says that it begins
        gone = items.pop(place)[1]["number"]
        assert gone in {one.seal for one in examine(items, TRUSTED).findings if one.kind == "seal_missing"}
        return
    assert named(examine(items, TRUSTED)) == expected


def lines_of(items: list[Item], key: Ed25519PrivateKey = KEY, **head: Any) -> list[str]:
    """A file as it is exported."""
    rows, out = sum(kind == "row" for kind, _ in items), form.File()
    sealed = max((place for place, (kind, _) in enumerate(items, 1) if kind == "seal"), default=0)
    told: dict[str, Any] = {
        "exported_at": "2026-11-27T09:00:00Z",
        "filtered_by": {},
        "complete": True,
        "public_keys": [form.public_key(key)],
    }
    lines = [out.line(form.head_line(**told | head))]
    lines += [
        out.line(form.row_line(what, {"actor": "ada"}) if kind == "row" else form.seal_line(what))
        for kind, what in items
    ]
    return [*lines, out.end(key, rows=rows, seals=len(items) - rows, unsealed=len(items) - sealed)]


def write(path: Path, items: list[Item]) -> Path:
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as file:
        file.writelines(lines_of(items))
    return path


def run(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """As a stranger would: no Django, no settings, no database."""
    command = [sys.executable, "-c", NO_DJANGO, str(path), *more]
    return subprocess.run(command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["export.jsonl", "export.jsonl.gz"])
def test_the_verifier_alone(tmp_path: Path, name: str) -> None:
    told = run(write(tmp_path / name, small()), "--key", TRUSTED[0])
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    assert "16 rows, 4 seals.\n" in told.stdout
    broken = small()
    broken[at(broken, 10)] = ("row", {**row(10), "reason": "nothing happened"})
    told = run(write(tmp_path / name, broken))
    assert told.returncode == 1
    assert "Row 10 was altered after it was sealed." in told.stdout
    told = run(write(tmp_path / name, small()), "--key", form.public_key(OTHER))
    assert told.returncode == 1
    assert "Seal 1 is signed with a key that is not trusted." in told.stdout


def test_a_file_that_is_cut_off_and_one_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "export.jsonl", small())
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:11]))
    assert kinds(verify.verify(path).report) == {"file_cut_off"}
    path.write_text("no\n")
    assert run(path).returncode == 2
    assert run(tmp_path / "nowhere").returncode == 2
