"""What a probe says of a reply that does not fit its profile leads to the mend: what the reply has, and in which words."""

from typing import Any

from firmware.probing.asking import Target
from firmware.probing.probe import probe
from firmware.probing.words import paths_in
from firmware.tests.conftest import http
from firmware.tests.test_probe import SECRET, Scripted, steps, told
from firmware.tests.test_probe import install as install
from firmware.tests.test_profile import GOOD


def test_a_reply_that_lacks_a_field_is_shown_by_its_paths(scripted: Scripted, install: Any) -> None:
    install("mine", GOOD)
    body = b'{"stat": "IDLE", "drive": {"x-pos": [{"mm": 4}]}}'
    read = steps(probe(Target(scripted(http(body)).url, "mine")))["read state"]
    assert 'The reply has: stat, drive."x-pos"[0].mm.' in read.mend


def test_a_word_that_the_map_lacks_is_told(scripted: Scripted, install: Any) -> None:
    install("mine", GOOD)
    report = probe(Target(scripted(http(b'{"state": "DOZING"}')).url, "mine"))
    assert (report.ok, report.machine_state) == (False, "unknown")
    assert any("it says 'DOZING': put that into `fields.machine_state.map`" in words for words in report.advice)


def test_a_text_that_does_not_fit_the_pattern_is_told_without_a_secret(scripted: Scripted, install: Any) -> None:
    install("mine", GOOD.replace('path = "/state"', 'path = "/state"\npattern = "S=(?P<state>.+) X=(?P<x>.+)"'))
    robot = scripted(http(f"state: IDLE for {SECRET}".encode(), kind="text/plain"))
    report = probe(Target(robot.url, "mine", {"admin": SECRET}))
    assert "state: IDLE for" in steps(report)["read state"].words
    assert SECRET not in told(report)


def test_brackets_without_end_have_an_end_here() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = {"a": deep}
    assert list(paths_in(deep)) == []
