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
    yield from _bare_words(profile)
    yield from _dead_rules(profile)
    yield from _unused_params(profile)
    yield from _condition_sense(profile)


def _condition_sense(profile: Profile) -> Iterator[tuple[str, str]]:
    made = _states(profile)
    for name, command in profile.commands.items():
        if command.states and not set(command.states) & made and set(command.states) <= set(MACHINE_STATES):
            yield f"commands.{name}.states", f"the profile makes none of these; it makes: {', '.join(sorted(made))}"
    yield from _already_so(profile)
    for key, conditions in _conditions(profile):
        for condition in conditions:
            if not condition and ".rules[" not in key:
                yield key, "an empty condition holds whatever the robot says; name a field"
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


BARE_WORD = re.compile(r"[=!<>]=?\s*(true|false|null)\b(?![\w.`'\"])")


def _bare_words(profile: Profile) -> Iterator[tuple[str, str]]:
    """`ok == false` compares with a field of the name `false`: a refusal would pass for a yes."""
    for key, path in expressions(profile):
        if found := BARE_WORD.search(re.sub(r"'[^']*'|`[^`]*`", "", path)):
            yield key, f"compares with a field named {found[1]}; write it in backticks: `{found[1]}`"


def expressions(profile: Profile) -> Iterator[tuple[str, str]]:
    """The JMESPaths in which things are compared."""
    yield "replies.refused", profile.replies.refused
    for name, field in profile.fields.items():
        for index, source in enumerate(field.sources):
            yield f"fields.{name}.from[{index}].path", source.path
    for name, read in profile.reads.items():
        yield from (
            (f"reads.{name}.{key}", path) for key in ("taken_at", "clock", "alive") if (path := getattr(read, key))
        )
    if profile.registers:
        yield "registers.writable", profile.registers.writable


MOVING = frozenset({"moving", "docking"})


def _already_so(profile: Profile) -> Iterator[tuple[str, str]]:
    """What would be called confirmed although nothing happened."""
    for condition in profile.stop.stopped:
        if moving := sorted(MOVING.intersection(_wanted_states(condition))):
            yield "stop.stopped", f"a robot that is {' or '.join(moving)} does not stand"
    for name, command in profile.commands.items():
        before = set(command.states)
        for condition in command.confirm if command.kind == "motion" and before else ():
            if condition.keys() == {MACHINE_STATE} and before <= _wanted_states(condition):
                words = "holds before the command is sent, in every state that allows it; it would confirm a robot that does nothing"
                yield f"commands.{name}.confirm", words


def _wanted_states(condition: Condition) -> set[object]:
    expected = condition.get(MACHINE_STATE)
    return set(expected) if isinstance(expected, list) else {expected}


def _dead_rules(profile: Profile) -> Iterator[tuple[str, str]]:
    for name, field in profile.fields.items():
        always = next((index for index, rule in enumerate(field.rules) if not rule.when), None)
        if always is not None and always < len(field.rules) - 1:
            yield (
                f"fields.{name}.rules[{always}].when",
                "always holds; the rules after it are never reached: put it last",
            )


def _unused_params(profile: Profile) -> Iterator[tuple[str, str]]:
    for name, command in profile.commands.items():
        used = set(placeholders([command.path, command.body]))
        misspelt = used - command.params.keys() - profile.settings.keys()  # told of where it stands
        for param in sorted(command.params.keys() - used) if not misspelt else ():
            yield f"commands.{name}.params.{param}", f'is sent nowhere: say "${param}" in the path or the body'


def _states(profile: Profile) -> set[str]:
    """The machine states that this profile can tell. All, where it is not known."""
    field = profile.fields.get(MACHINE_STATE)
    told = set[object]() if field is None else {rule.value for rule in field.rules} | set(field.map.values())
    return {str(state) for state in told} | {"unknown"} if told and told <= set(MACHINE_STATES) else set(MACHINE_STATES)


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
    if isinstance(expected, Near) and _is_number(expected.near) and _out_of_range(field, expected):
        return f"{name!r} never reads {expected.near:g}; its values are from {field.minimum} to {field.maximum}"
    if field.type == "number" and not (isinstance(expected, Near) or _is_number(expected)):
        return f"{name!r} is a number; compare it with one, or with {{ near = …, tolerance = … }}"
    if field.type in ("text", "time") and not all(isinstance(one, str) for one in wanted):
        return f"{name!r} is a text; compare it with one, in quotes"
    return None


def _out_of_range(field: Field, expected: Near) -> bool:
    near = float(expected.near)
    low, high = field.minimum, field.maximum
    return (low is not None and near + expected.tolerance < low) or (
        high is not None and near - expected.tolerance > high
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
