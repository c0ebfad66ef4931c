"""Checks a command's parameters against the profile. Errors speak of the field in its own words."""

import math
from collections.abc import Mapping
from typing import Any

from firmware.language.actions import Hold, Param
from firmware.replies import word
from robotctl.problems import Problem

KINDS = {"number": "a number", "integer": "a whole number", "text": "text", "flag": "true or false"}


def check(specs: Mapping[str, Param], given: Any, where: str = "params") -> dict[str, Any]:
    """The parameters, typed, with defaults filled in. Raises Problem 400 with an error for each field of `where`."""
    if not isinstance(given, dict):
        raise Problem(
            400, "invalid", f"{where} must be an object.", errors={where: ["Give an object, for example {}."]}
        )
    errors: dict[str, list[str]] = {}
    for unknown in sorted(given.keys() - specs.keys()):
        errors[f"{where}.{unknown}"] = [f"There is no such one; known: {', '.join(specs) or 'none'}."]
    filled: dict[str, Any] = {}
    for name, spec in specs.items():
        if given.get(name) is None:
            if spec.default is not None:
                filled[name] = typed(spec, spec.default)[1]
            elif spec.required:
                errors[f"{where}.{name}"] = ["This parameter is required."]
            continue
        problem, value = typed(spec, given[name])
        if problem:
            errors[f"{where}.{name}"] = [problem]
        else:
            filled[name] = value
    if errors:
        raise Problem(400, "invalid", " ".join(f"{name}: {words[0]}" for name, words in errors.items()), errors=errors)
    return filled


def sent(specs: Mapping[str, Param], params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the robot wants them: in its unit, its words."""
    return {name: _sent(specs[name], value) if name in specs else value for name, value in params.items()}


def held(hold: Hold, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The sent parameters of a hold-to-run: its speed without the sign, and what the direction stands for."""
    speed = sent[hold.speed]
    return {**sent, hold.speed: abs(speed), **(hold.forward if speed > 0 else hold.backward)}


def _sent(spec: Param, value: Any) -> Any:
    if spec.sent:
        return spec.sent.get(word(value), value)
    if spec.scale == 1.0 or isinstance(value, str | bool):
        return value
    scaled = round(value * spec.scale, 9)
    return int(scaled) if scaled.is_integer() else scaled


def typed(spec: Param, value: Any) -> tuple[str | None, Any]:
    """(problem, value) for one given value; exactly one of them is None."""
    problem = f"Must be {KINDS[spec.type]}."
    if spec.type == "flag":
        return (None, value) if isinstance(value, bool) else (problem, None)
    if spec.type == "text":
        if not isinstance(value, str) or len(value) > 200:
            return f"{problem} At most 200 characters.", None
        if spec.choices and value not in spec.choices:
            return f"Must be one of {', '.join(spec.choices)}.", None
        return None, value
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        return problem, None
    if spec.type == "integer" and value != int(value):
        return problem, None
    low, high, unit = spec.minimum, spec.maximum, f" {spec.unit}" if spec.unit else ""
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = (
            f"from {low:g} to {high:g}"
            if low is not None and high is not None
            else f"at least {low:g}"
            if low is not None
            else f"at most {high:g}"
        )
        return f"Must be {bounds}{unit}; {value:g} is not.", None
    return None, int(value) if spec.type == "integer" else float(value)


def _finite(value: int | float) -> bool:
    """Whether it fits a float that is a number; JSON knows integers of any length."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
