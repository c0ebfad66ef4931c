"""Robots that say it in words: text replies taken apart by a pattern, refusals in text, flags in words."""

from typing import Any

import pytest

from firmware.errors import BadReply, FirmwareError, NotNow, Rejected
from firmware.tests.conftest import http
from firmware.tests.test_language_reads import POSITION, Scripted, client, kind, said

PATTERN = "pattern = '''st=(?P<st>\\w+)(?: x=(?P<x>[-\\d.]+))?'''"


def test_a_pattern_makes_a_reply_of_text(scripted: Scripted) -> None:
    robot = scripted(http(b"#7 st=RUN x=-1500.5 ok", kind="text/plain"), http(b"st=IDLE", kind="text/plain"))
    one = client(robot.url, kind(PATTERN, POSITION))
    assert one.read("state").values == {"machine_state": "moving", "position_m": -1.5005}
    assert one.read("state").values == {"machine_state": "idle"}


@pytest.mark.parametrize(("reply", "error", "words"), [
    (http(b"good morning", kind="text/plain"), BadReply, "does not fit the profile's pattern"),
    (http(b"", kind="text/plain"), BadReply, "does not fit the profile's pattern"),
    (http(b"st=RUN says the busy robot", "409 Conflict", "text/plain"), NotNow, "st=RUN says the busy robot"),
])  # fmt: skip
def test_text_that_does_not_fit_or_is_a_refusal_is_no_reading(
    reply: bytes, error: type[FirmwareError], words: str, scripted: Scripted
) -> None:
    with pytest.raises(error, match=words):
        client(scripted(reply).url, kind(PATTERN)).read("state")


FLAG = 'type = "flag"\nfrom = [{ read = "state", path = "on" }]\nmap = { ja = "true", nein = "false", 2 = "true" }'


@pytest.mark.parametrize(
    ("raw", "value"), [("ja", True), ("nein", False), (2, True), ("vielleicht", None), (None, None)]
)
def test_a_flag_may_be_told_in_words(raw: Any, value: bool | None, scripted: Scripted) -> None:
    robot = scripted(said({"st": "RUN", "on": raw}))
    seen = client(robot.url, kind("", f"[fields.remote]\n{FLAG}")).read("state").values
    assert seen.get("remote") is value


PARTS = """[modules]
path = "/parts"
method = "POST"
body = { all = true }
pattern = '(?P<parts>P\\d)'
list = "[{no: parts}]"
address = "no"
"""


def test_equipment_may_be_asked_for_by_a_post_and_told_in_text(scripted: Scripted) -> None:
    robot = scripted(http(b"here: P7", kind="text/plain"), http(b"nothing", kind="text/plain"))
    one = client(robot.url, kind("", PARTS))
    assert one.profile.modules is not None
    found = one.fetch(one.profile.modules)
    assert found is not None and found[0] == {"parts": "P7"}
    assert robot.requests[0].startswith(b"POST /parts ") and robot.requests[0].endswith(b'{"all":true}')
    with pytest.raises(BadReply):
        one.fetch(one.profile.modules)


def test_a_text_that_refuses_is_no_reading_although_the_pattern_fits_it(scripted: Scripted) -> None:
    spec = kind(PATTERN, "[replies]\nrefused_text = '^ERR'")
    with pytest.raises(Rejected, match="ERR 5 st=RUN"):
        client(scripted(http(b"ERR 5 st=RUN", kind="text/plain")).url, spec).read("state")
