"""What a client makes of a reply: values of their type, or none."""

from typing import Any

import jmespath
import pytest

from firmware import parameters
from firmware.errors import FirmwareError, Rejected
from firmware.language.actions import Param
from firmware.language.reads import Field, Source
from firmware.replies import convert, entries, extract, fill, find
from firmware.tests.conftest import MakeClient, http
from firmware.tests.test_transport import Scripted, error_of

NUMBER = Field(sources=[Source(read="r", path="a")])
TEXT = Field(sources=[Source(read="r", path="a")], type="text")
FLAG = Field(sources=[Source(read="r", path="a")], type="flag")
TIME = Field(sources=[Source(read="r", path="a")], type="time")
STATE = Field(sources=[Source(read="r", path="a")], type="text", map={"1": "idle", "2": "moving", "true": "fault"})
BIT = Field(sources=[Source(read="r", path="a", bit=3)], type="flag")
ARM = Field(sources=[Source(read="r", path="a", bit=0)], type="text", map={"true": "up", "false": "down"})
NEW_YEAR = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("spec", "raw", "value"),
    [
        (NUMBER, 1, 1.0),
        (NUMBER, "2.5", 2.5),
        (NUMBER, 10**400, None),
        (NUMBER, "1e999", None),
        (NUMBER, "nan", None),
        (NUMBER, float("inf"), None),
        (NUMBER, True, None),
        (NUMBER, [1], None),
        (NUMBER, {"a": 1}, None),
        (NUMBER, "9" * 5000, None),
        (NUMBER, "", None),
        (TEXT, "a\x00b\x1b[31m", "a b [31m"),
        (TEXT, {"a": 1}, None),
        (TEXT, "x" * 1000, "x" * 200),
        (FLAG, 1, True),
        (FLAG, 0, False),
        (FLAG, 2, None),
        (FLAG, -1, None),
        (FLAG, "1", None),
        (FLAG, False, False),
    ],
)
def test_a_raw_value_becomes_one_of_its_type_or_none(spec: Field, raw: Any, value: Any) -> None:
    found = convert(spec, raw)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(("spec", "raw", "value"), [
    (TIME, 1767225600, NEW_YEAR),
    (TIME, 1767225600.9, NEW_YEAR),
    (TIME, 1767225600123, NEW_YEAR),
    (TIME, 1767225600123456, NEW_YEAR),
    (TIME, "2026-01-01T01:00:00+01:00", NEW_YEAR),
    (TIME, "2026-01-01T00:00:00Z", NEW_YEAR),
    (TIME, -5, None),
    (TIME, "soon", None),
    (TIME, True, None),
    (TIME, 1e300, None),
    (STATE, 1, "idle"),
    (STATE, 2.0, "moving"),
    (STATE, True, "fault"),
    (STATE, 2.5, "unknown"),
    (STATE, None, None),
    (BIT, 0b1000, True),
    (BIT, 0b0111, False),
    (BIT, -1, True),
    (BIT, True, None),
    (BIT, "8", None),
    (BIT, 8.0, None),
    (ARM, 6, "down"),
    (ARM, 7, "up"),
])  # fmt: skip
def test_times_words_and_bits_become_what_the_profile_makes_of_them(spec: Field, raw: Any, value: Any) -> None:
    assert extract(spec, "r", {"a": raw}) == value


@pytest.mark.parametrize(("spec", "value", "expected"), [
    (Param(type="flag", sent={"true": 1, "false": 0}), True, 1),
    (Param(type="integer", sent={"1": "one", "2": "two"}), 2, "two"),
    (Param(type="number", sent={"1": "one", "2": "two"}), 2.0, "two"),
    (Param(type="text", choices=["up", "down"], sent={"up": 1, "down": "D"}), "down", "D"),
    (Param(type="text", sent={"up": 1}), "down", "down"),  # there is no other word for it
])  # fmt: skip
def test_words_for_a_choice_hold_for_every_type(spec: Param, value: Any, expected: Any) -> None:
    assert parameters.sent({"v": spec}, {"v": value}) == {"v": expected}


def test_a_list_and_a_keyed_object_give_the_same_entries() -> None:
    assert entries("a", {"a": [{"no": 1}, 5, None]}) == [{"no": 1}, {"value": 5}, {"value": None}]
    keyed = {"a": {"10": {"no": 1}, "11": 5, "12": {"key": "own"}}}
    assert entries("a", keyed) == [{"key": "10", "no": 1}, {"key": "11", "value": 5}, {"key": "own"}]
    nothing: list[Any] = [{"a": 5}, {"a": "text"}, {"a": None}, {}, [], None]
    assert [entries("a", reply) for reply in nothing] == [[]] * len(nothing)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"current_state":' + b"9" * 4000 + b',"total_transitions":' + b"9" * 350 + b"}}",
        b'{"data":[]}',
        b'{"data":"IDLE"}',
        b"[]",
        b"null",
        b"7",
        b'"IDLE"',
        b'{"data":{"current_state":{"a":[]},"total_transitions":{"value":3}}}',
    ],
)
def test_a_reply_of_another_shape_gives_no_value_and_no_crash(
    body: bytes, scripted: Scripted, client_for: MakeClient
) -> None:
    try:
        values = client_for(scripted(http(body)).url).read("state").values
    except FirmwareError:
        return
    assert values.get("machine_state") in (None, "unknown")
    assert "transitions" not in values


@pytest.mark.parametrize("path", ["data.a", "data.b.c", "data.missing.c", "data", "data.list", "a"])
def test_walking_plain_names_finds_what_jmespath_finds(path: str) -> None:
    replies: list[Any] = [
        {"data": {"a": 1, "b": {"c": None}, "list": [1]}},
        {"data": None},
        {"data": 3},
        [],
        None,
        "a",
        1,
    ]
    for reply in replies:
        assert find(path, reply) == jmespath.search(path, reply)


def test_a_template_gets_typed_values_and_loses_what_was_not_given() -> None:
    template = {"a": "$x", "b": ["$x", {"c": "$y"}], "d": "$x m", "e": 1, "f": "$y"}
    assert fill(template, {"x": 2.5}) == {"a": 2.5, "b": [2.5, {}], "d": "2.5 m", "e": 1}


def test_a_refusal_with_status_200_is_a_refusal(scripted: Scripted, client_for: MakeClient) -> None:
    error = error_of(client_for(scripted(http(b'{"success":false,"message":"busy"}')).url).stop)
    assert isinstance(error, Rejected) and error.status == 200 and str(error) == "busy"
