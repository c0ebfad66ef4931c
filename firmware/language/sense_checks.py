"""What a profile says that could never hold on any robot: (key, reason)."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from firmware.language.kind import Profile
from firmware.language.reads import Field
from firmware.language.words import MACHINE_STATE, MACHINE_STATES, Condition, Near, placeholders

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
FLAG_WORDS = {"true", "false"}


def sense_problems(profile: Profile) -> Iterator[tuple[str, str]]:
    yield from _number_problems(msgspec.to_builtins(profile), "")
    yield from _header_problems(profile)
    for name, count in Counter(profile.auth.tokens).items():
        if count > 1:
            yield "auth.tokens", f"{name!r} is named {count} times"
    for name, field in profile.fields.items():
        if field.type == "flag" and field.map and not set(field.map.values()) <= FLAG_WORDS:
            yield f"fields.{name}.map", 'a flag is "true" or "false"; for other words say type = "text"'
    for key, conditions in _conditions(profile):
        for condition in conditions:
            for name, expected in condition.items():
                if name in profile.fields and (reason := _never(profile.fields[name], name, expected)):
                    yield key, reason


def _number_problems(part: Any, key: str) -> Iterator[tuple[str, str]]:
    """TOML knows numbers that no robot can be sent and nothing can be compared with; and a scale of 0 makes all nothing."""
    if isinstance(part, list):
        for index, inner in enumerate(part):
            yield from _number_problems(inner, f"{key}[{index}]")
    elif isinstance(part, dict):
        for name, inner in part.items():
            where = f"{key}.{name}" if key else name
            if name == "scale" and isinstance(inner, float | int) and not (math.isfinite(inner) and inner):
                yield where, "must be a number other than 0"
            else:
                yield from _number_problems(inner, where)
    elif isinstance(part, float) and not math.isfinite(part):
        yield key, f"must be a number; {part} is none"


def _header_problems(profile: Profile) -> Iterator[tuple[str, str]]:
    auth, fixed = profile.auth, profile.transport.headers
    for key, name in [("auth.header", auth.header), *((f"transport.headers.{name}", name) for name in fixed)]:
        if not HEADER_NAME.fullmatch(name):
            yield key, f"{name!r} is not the name of a header"
    values = {"auth.scheme": auth.scheme, "auth.template": auth.template}
    for key, value in (values | {f"transport.headers.{name}": value for name, value in fixed.items()}).items():
        if not HEADER_VALUE.fullmatch(value):
            yield key, "holds characters that a header cannot carry, such as a line break"


def _conditions(profile: Profile) -> Iterator[tuple[str, list[Condition]]]:
    yield "stop.stopped", profile.stop.stopped
    for name, command in profile.commands.items():
        yield f"commands.{name}.confirm", command.confirm
        yield f"commands.{name}.done", command.done
    for name, call in profile.setup.items():
        yield f"setup.{name}.when", call.when
    for name, field in profile.fields.items():
        for index, rule in enumerate(field.rules):
            yield f"fields.{name}.rules[{index}].when", [rule.when]


def _never(field: Field, name: str, expected: Any) -> str | None:
    """Why the field can never read so; None when it can, or when only the robot knows."""
    if any(placeholders(getattr(expected, "near", expected))):
        return None
    wanted = expected if isinstance(expected, list) else [expected]
    words = {rule.value for rule in field.rules} if field.rules else set(field.map.values())
    if field.type == "flag" and not field.rules:
        return None if isinstance(expected, bool) else f"{name!r} is a flag; say true or false, without quotes"
    if words:
        if name == MACHINE_STATE and not words <= set(MACHINE_STATES):
            return None  # told of already, where it stands
        known = words | ({"unknown"} if name == MACHINE_STATE else set())
        told = ", ".join(sorted(str(word) for word in words))
        return None if known & set(wanted) else f"{name!r} never reads {wanted[0]!r}; the profile makes of it: {told}"
    if field.type == "number" and not (isinstance(expected, Near) or _is_number(expected)):
        return f"{name!r} is a number; compare it with one, or with {{ near = …, tolerance = … }}"
    if field.type in ("text", "time") and not all(isinstance(one, str) for one in wanted):
        return f"{name!r} is a text; compare it with one, in quotes"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
