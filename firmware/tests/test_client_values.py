"""What a client makes of a reply: values of their type, or none."""

from typing import Any

import jmespath
import pytest

from firmware.errors import FirmwareError, Rejected
from firmware.profile_reads import Field, Source
from firmware.replies import convert, fill, find
from firmware.tests.conftest import MakeClient, http
from firmware.tests.test_transport import Scripted, error_of

NUMBER = Field(sources=[Source(read="r", path="a")])
TEXT = Field(sources=[Source(read="r", path="a")], type="text")
FLAG = Field(sources=[Source(read="r", path="a")], type="flag")


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
    template = {"a": "$x", "b": ["$x", {"c": "$y"}], "d": "$x m", "e": 1}
    assert fill(template, {"x": 2.5}) == {"a": 2.5, "b": [2.5, {}], "d": "$x m", "e": 1}


def test_a_refusal_with_status_200_is_a_refusal(scripted: Scripted, client_for: MakeClient) -> None:
    error = error_of(client_for(scripted(http(b'{"success":false,"message":"busy"}')).url).stop)
    assert isinstance(error, Rejected) and error.status == 200 and str(error) == "busy"
