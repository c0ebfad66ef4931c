"""A probe tells what a robot answers, by name or by finding out; harms none, sends no command, and shows no secret."""

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.core.management import call_command

from firmware import profile
from firmware.drainer import drainer
from firmware.management.commands.probe import lines
from firmware.probing.asking import Target
from firmware.probing.probe import probe
from firmware.probing.words import Report, Step
from firmware.simulator import TOKENS, Simulator
from firmware.tests.conftest import ScriptedRobot, http
from firmware.tests.machines.lift import Lift
from firmware.tests.test_profile import GOOD
from firmware.tests.test_transport_tls import TlsRobot, certificate
from robotctl.tests.system import free_port

__all__ = ["certificate"]  # a fixture of the tests of TLS
SECRET = "s3cret+key/=7"
Scripted = Callable[..., ScriptedRobot]


def steps(report: Report) -> dict[str, Step]:
    return {step.name: step for step in report.steps}


def told(report: Report) -> str:
    """Everything that any of the three ways to show it would show."""
    return "\n".join(lines(report)) + msgspec.json.encode(report).decode()


@pytest.fixture
def install() -> Any:
    """`install("mine", text)`: a profile of one's own, for one test."""
    folder = Path(settings.ENV.var) / "profiles"
    made: list[Path] = []

    def write(name: str, text: str) -> None:
        folder.mkdir(exist_ok=True)
        made.append(folder / f"{name}.toml")
        made[-1].write_text(text)

    yield write
    for path in made:
        path.unlink()


@pytest.mark.parametrize(("dialect", "position"), [("observed", None), ("documented", 10.0)])
def test_each_dialect_is_looked_at_whole_and_only_looked_at(dialect: str, position: float | None) -> None:
    with Simulator(dialect=dialect) as robot:
        report = probe(Target(robot.url, "oht50", TOKENS))
        asked = {entry.split()[0] for entry in robot.robot._by_path}
        assert asked == {"GET"} and not robot.died
    assert report.ok and report.machine_state == "idle"
    assert report.machine_state_age_s is not None and report.machine_state_age_s < 5  # no value without its age
    found = steps(report)
    assert [found[name].ok for name in ("address", "DNS", "TCP", "HTTP", "read state")] == [True] * 5
    state = {one.name: one for one in found["read state"].found}
    assert state["machine_state"].value == "idle" and 0 <= (state["machine_state"].age_s or 0) < 1
    assert all(step.ms is not None and step.ms < 3000 for step in report.steps if step.ok)
    assert found["modules"].ok and found["configuration state_machine"].ok
    assert ("registers of 2" in found) is (dialect == "documented")
    shown = {one.name: one for one in report.readings}
    assert (shown["position_m"].value, shown["position_m"].unit) == (position, "m")
    assert shown.keys() == {name for name, field in profile.load("oht50").fields.items() if field.shown} - {
        "machine_state"
    }
    for path in profile.load("oht50").constants:
        assert "constant" in found[f"constant {path}"].words


@pytest.mark.parametrize("dialect", ["observed", "documented"])
def test_the_profile_that_fits_is_found_without_a_name(dialect: str) -> None:
    with Simulator(dialect=dialect) as robot:
        report = probe(Target(robot.url))
        assert not robot.died
    assert (report.profile, report.ok) == ("oht50", True)
    best, *others = report.fits
    assert best.profile == "oht50" and best.score > 0.25 and "reads answer" in best.why
    assert {fit.score for fit in others} == {0.0}
    assert "read state" in steps(report)


def test_no_profile_fits_a_machine_that_nobody_has_described() -> None:
    with Lift() as lift:
        bare = probe(Target(lift.url))
        signed = probe(Target(lift.url, None, {"key": lift.keys["monitor"]}))
        assert {request.split()[0] for request in lift.truth()["requests"]} == {"GET"}
    for report in (bare, signed):
        assert report.profile is None and not report.ok
        assert all(fit.score == 0 for fit in report.fits)
        assert "docs/connect-a-robot.md" in told(report)
    assert any("credential" in one for one in bare.advice)
    assert lift.keys["monitor"] not in told(signed)


def test_a_refused_port_an_address_outside_and_a_name_that_nobody_knows() -> None:
    refused = probe(Target(f"http://127.0.0.1:{free_port()}", "oht50")).steps[-1]
    assert (refused.name, refused.ok) == ("TCP", False)
    assert "refuses" in refused.words and "check the port" in refused.mend
    outside = probe(Target("http://8.8.8.8:80", "oht50")).steps[-1]
    assert (outside.name, outside.ok) == ("address", False) and "ROBOT_NETWORKS" in outside.mend
    unknown = probe(Target("http://robot.invalid", "oht50")).steps[-1]
    assert (unknown.name, unknown.ok) == ("DNS", False) and "spelling" in unknown.mend
    for nonsense in ("", "robot", "ftp://127.0.0.1", "http://[", "http://127.0.0.1:99999"):
        assert probe(Target(nonsense, "oht50")).steps[-1].name == "address"


@pytest.mark.parametrize("url", [
    f"http://user:{SECRET}@127.0.0.1:9/x?key={SECRET}",
    "http://user:s3cret/x@127.0.0.1:9",
    "http://user:s3cret@[",
])  # fmt: skip
def test_a_password_in_the_address_is_not_repeated(url: str) -> None:
    report = probe(Target(url, "oht50"))
    assert not report.steps[-1].ok and "s3cret" not in told(report)


@pytest.mark.parametrize("path", ["/api/v1/system/state", "/api/v1/motion"])
def test_a_robot_that_hangs_is_told_of_asked_nothing_more_and_not_hung_up_on(path: str) -> None:
    with Simulator(dialect="observed") as robot:
        robot.fault("hang", path=path)
        report = probe(Target(robot.url, "oht50", TOKENS))
        assert drainer.count() == 1
        asked = sum(robot.robot._by_path.values())
        robot.clear()
        assert drainer.wait(5) == 0
        assert not robot.died
        assert sum(robot.robot._by_path.values()) == asked
    assert report.hung and not report.ok
    assert "hangs" in told(report) and "Not asked" in told(report)
    assert asked == (1 if path.endswith("state") else 2)


@pytest.mark.parametrize(("path", "step"), [("/", "HTTP"), ("/api/v1/motion", "search")])
def test_a_search_stops_at_a_robot_that_hangs(path: str, step: str) -> None:
    with Simulator(dialect="observed") as robot:
        robot.fault("hang", path=path)
        report = probe(Target(robot.url))
        assert drainer.count() == 1
        robot.clear()
        assert drainer.wait(5) == 0 and not robot.died
    assert report.hung and report.profile is None
    assert steps(report)[step].ok is False and "hangs" in steps(report)[step].words


def test_a_robot_that_hangs_already_survives_being_looked_at_again() -> None:
    with Simulator(dialect="observed") as robot:
        robot.fault("hang", path="/api/v1/system/state")
        for _ in range(2):
            assert probe(Target(robot.url, "oht50")).hung
        robot.clear()
        assert drainer.wait(5) == 0 and not robot.died


def test_the_command_waits_for_the_late_answer_before_the_process_ends() -> None:
    out, err = io.StringIO(), io.StringIO()
    with Simulator(dialect="observed") as robot:
        robot.fault("hang", path="/api/v1/motion")
        timer = threading.Timer(4.0, robot.clear)
        timer.start()
        with pytest.raises(SystemExit) as end:
            call_command("probe", robot.url, "--profile", "oht50", stdout=out, stderr=err)
        timer.join()
        assert end.value.code == 1 and drainer.count() == 0 and not robot.died
    assert "hangs" in out.getvalue() and "Waiting up to 10 s" in err.getvalue()


def test_a_web_page_is_called_one() -> None:
    with Simulator(dialect="documented", faults=["html"]) as robot:
        named, searched = probe(Target(robot.url, "oht50")), probe(Target(robot.url))
    assert "web page" in steps(named)["read state"].words and "port" in steps(named)["read state"].mend
    assert searched.profile is None and any("web pages" in one for one in searched.advice)


@pytest.mark.parametrize(("reply", "words", "mend"), [
    (http(b'{"error": "gone"}', "404 Not Found"), "404: gone", "no such path"),
    (http(b'{"error": "no key"}', "401 Unauthorized"), "401: no key", "credential"),
    (http(b"", "301 Moved", "text/plain", "Location: /x"), "redirects", "https://"),
    (http(b"", "502 Bad Gateway"), "gateway", "robot behind it"),
    (http(b"ERR", "200 OK", "text/plain"), "not JSON", "pattern"),
    (http(b'{"error": "later"}', "503 Busy"), "503: later", "ready"),
    (b"SSH-2.0-OpenSSH_9\r\n", "no HTTP", ""),
    ("close", "closed the connection", "https://"),
    ("reset", "closed the connection", "https://"),
])  # fmt: skip
def test_what_a_robot_may_answer_instead_leads_to_the_mend(
    scripted: Scripted, reply: Any, words: str, mend: str
) -> None:
    # The first connection is the probe's own, which only looks whether the port answers.
    report = probe(Target(scripted(reply).url, "oht50"))
    step = steps(report)["read state"]
    assert step.ok is False and words in step.words and mend in step.mend
    assert not report.ok


SIGNED = GOOD.replace('tokens = ["admin"]', 'tokens = ["admin"]\nread_token = "admin"')


def test_credentials_are_tried_with_and_without_and_never_shown(scripted: Scripted, install: Any) -> None:
    install("signed", SIGNED)
    said = http(msgspec.json.encode({"state": "IDLE", "x": 1, "echo": SECRET}))
    refused = http(msgspec.json.encode({"error": f"key {SECRET} unknown"}), "401 Unauthorized")
    good = steps(probe(Target(scripted(said, refused).url, "signed", {"admin": SECRET})))
    assert good["authentication"].ok and "takes the credential `admin`" in good["authentication"].words
    assert good["without a credential"].ok and good["without a credential"].status == 401
    careless = steps(probe(Target(scripted(said).url, "signed", {"admin": SECRET})))
    assert careless["without a credential"].ok is None and "all the same" in careless["without a credential"].words
    wrong = probe(Target(scripted(refused).url, "signed", {"admin": SECRET, "boss": "x"}))
    assert steps(wrong)["authentication"].ok is False and steps(wrong)["credentials"].ok is False
    missing = steps(probe(Target(scripted(refused).url, "signed")))
    assert missing["authentication"].mend == "Give the credential `admin`."
    assert SECRET not in told(wrong) and "key … unknown" in told(wrong)


def test_a_robot_that_gives_its_credential_as_a_reading_does_not_get_it_shown(scripted: Scripted, install: Any) -> None:
    echo = SIGNED + '[fields.echo]\ntype = "text"\nfrom = [{ read = "state", path = "echo" }]\n'
    install("echoing", echo)
    said = http(msgspec.json.encode({"state": "IDLE", "x": 1, "echo": f"<{SECRET}>"}))
    report = probe(Target(scripted(said).url, "echoing", {"admin": SECRET}))
    assert report.ok and SECRET not in told(report) and "<…>" in told(report)


def test_a_search_sends_no_post_and_a_named_profile_does(scripted: Scripted, install: Any) -> None:
    install("asking", GOOD.replace('path = "/state"', 'path = "/zz-state"\nmethod = "POST"', 1))
    robot = scripted(http(b'{"state": "IDLE", "x": 2}'))
    searched = probe(Target(robot.url))
    assert all(request.startswith(b"GET ") for request in robot.requests)
    assert any(fit.profile == "asking" and "POST" in fit.why for fit in searched.fits)
    assert probe(Target(robot.url, "asking")).machine_state == "idle"
    assert robot.requests[-1].startswith(b"POST /zz-state ")


def test_settings_are_asked_for_and_used(scripted: Scripted, install: Any) -> None:
    unit = GOOD.replace('path = "/state"', 'path = "/units/$unit/state"') + '[settings.unit]\ntype = "integer"\n'
    install("many", unit)
    robot = scripted(http(b'{"state": "RUN", "x": 2}'))
    missing = probe(Target(robot.url, "many"))
    assert (missing.steps[-1].name, missing.steps[-1].ok) == ("profile", False) and "unit" in missing.steps[-1].words
    assert "whole number" in probe(Target(robot.url, "many", {}, {"unit": "seven"})).steps[-1].words
    assert robot.requests == []
    assert probe(Target(robot.url, "many", {}, {"unit": "7"})).machine_state == "moving"
    assert robot.requests[0].startswith(b"GET /units/7/state ")


def test_a_profile_that_is_not_there(scripted: Scripted) -> None:
    report = probe(Target(scripted(http()).url, "nope"))
    assert "installed are" in report.steps[-1].words


def test_time_is_bounded(scripted: Scripted) -> None:
    robot = scripted(http())
    report = probe(Target(robot.url, "oht50"), limit_s=0.5)
    assert robot.requests == [] and "longer than this probe has left" in told(report)


def test_tls_tells_version_issuer_and_days_and_a_stranger_gets_nothing(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, install: Any
) -> None:
    install("plain", GOOD)
    robot = TlsRobot(certificate, http(b'{"state": "IDLE", "x": 1}'))
    untrusted = probe(Target(robot.url, "plain")).steps[-1]
    assert (untrusted.name, untrusted.ok) == ("TLS", False)
    assert "not trusted" in untrusted.words and "issued by CN=robot" in untrusted.words and untrusted.mend
    assert robot.requests == []
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    trusted = probe(Target(robot.url, "plain"))
    assert "TLSv1.3, issued by CN=robot, 0 days left." in steps(trusted)["TLS"].words
    assert trusted.machine_state == "idle"
    robot.stop()


def test_https_to_a_port_without_tls_is_called_that(scripted: Scripted) -> None:
    report = probe(Target(scripted(http()).url.replace("http:", "https:"), "oht50"))
    assert report.steps[-1].name == "TLS" and "http://" in report.steps[-1].mend


def test_the_command_shows_the_same_as_text_and_as_json() -> None:
    out, given = io.StringIO(), f"admin={SECRET}"
    with Simulator(dialect="observed") as robot:
        call_command("probe", robot.url, "--credential", given, stdout=out)
        text = out.getvalue()
        out.truncate(out.seek(0))
        call_command("probe", robot.url, "--profile", "oht50", "--credential", given, "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert SECRET not in text + out.getvalue()
    assert document["machine_state"] == "idle" and {"name", "ok", "ms", "words"} <= document["steps"][0].keys()
    assert "machine state: idle" in text and "→ oht50" in text and "✓ ok" in text
