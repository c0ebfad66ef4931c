"""A command's parameters: typed, bounded, and refused in words that name the field."""

import math
from typing import Any

import pytest

from firmware import parameters, profile
from firmware.language.actions import Param
from robotctl.problems import Problem

MOVE = profile.load("oht50").commands["move"].params
ONE = {
    "number": Param(type="number", minimum=0.0, maximum=10.0, unit="m"),
    "integer": Param(type="integer", minimum=-5, maximum=5),
    "text": Param(type="text"),
    "choice": Param(type="text", choices=["left", "right"]),
    "flag": Param(type="flag"),
    "free": Param(type="number"),
}
HUGE = pytest.param(10**400, id="huge")  # JSON knows integers of any length; a float does not


def errors_of(specs: dict[str, Param], given: Any) -> dict[str, list[str]]:
    with pytest.raises(Problem) as caught:
        parameters.check(specs, given)
    assert caught.value.status_code == 400
    assert caught.value.errors is not None
    return caught.value.errors


@pytest.mark.parametrize(
    ("kind", "given", "typed"),
    [
        ("number", 0, 0.0),
        ("number", -0.0, 0.0),
        ("number", 10, 10.0),
        ("integer", 5.0, 5),
        ("integer", -5, -5),
        ("text", "", ""),
        ("text", "ü" * 200, "ü" * 200),
        ("choice", "left", "left"),
        ("flag", False, False),
        ("free", -1e308, -1e308),
    ],
)
def test_a_sound_value_gets_its_type(kind: str, given: Any, typed: Any) -> None:
    value = parameters.check({"a": ONE[kind]}, {"a": given})["a"]
    assert value == typed and type(value) is type(typed)


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, True, False, "5", "", [], {}, b"5", 5j, HUGE])
@pytest.mark.parametrize("kind", ["number", "integer", "free"])
def test_what_is_no_number_is_refused(kind: str, given: Any) -> None:
    assert errors_of({"a": ONE[kind]}, {"a": given})["params.a"][0].startswith("Must be a")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("number", -0.001),
        ("number", 10.000001),
        ("number", 10**30),
        ("integer", 6),
        ("integer", 0.5),
        ("text", 5),
        ("text", "x" * 201),
        ("text", ["a"]),
        ("choice", "LEFT"),
        ("choice", ""),
        ("flag", 1),
        ("flag", 0),
        ("flag", "true"),
    ],
)
def test_what_is_out_of_bounds_or_of_another_type_is_refused(kind: str, given: Any) -> None:
    assert list(errors_of({"a": ONE[kind]}, {"a": given})) == ["params.a"]


def test_bounds_are_told_with_their_unit() -> None:
    assert errors_of({"a": ONE["number"]}, {"a": 11}) == {"params.a": ["Must be from 0 to 10 m; 11 is not."]}
    low = Param(minimum=1.0)
    assert errors_of({"a": low}, {"a": 0}) == {"params.a": ["Must be at least 1; 0 is not."]}


def test_every_error_is_told_at_once() -> None:
    found = errors_of(MOVE, {"speed_mps": "fast", "colour": "red", "acceleration_mps2": 99})
    assert sorted(found) == [
        "params.acceleration_mps2",
        "params.colour",
        "params.speed_mps",
        "params.target_m",
    ]


def test_defaults_fill_in_and_null_is_as_good_as_absent() -> None:
    whole = {"target_m": 5.0, "speed_mps": 0.8, "acceleration_mps2": 0.5}
    assert parameters.check(MOVE, {"target_m": 5}) == whole
    assert parameters.check(MOVE, {"target_m": 5, "speed_mps": None}) == whole
    assert list(errors_of(MOVE, {"target_m": None})) == ["params.target_m"]


def test_what_is_optional_and_has_no_default_is_left_out() -> None:
    assert parameters.check({"a": Param(required=False)}, {}) == {}


@pytest.mark.parametrize("given", [None, [], "x", 5, [["target_m", 5]]])
def test_params_must_be_an_object(given: Any) -> None:
    assert "params" in errors_of(MOVE, given)


def test_a_command_without_parameters_takes_none() -> None:
    assert parameters.check({}, {}) == {}
    assert "none" in errors_of({}, {"a": 1})["params.a"][0]
