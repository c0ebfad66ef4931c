"""What is wrong with the conditions of a profile: what could never hold, and what holds without anything having happened."""

from collections.abc import Iterable, Iterator
from typing import Any

from firmware.language.kind import Profile
from firmware.language.reads import Field
from firmware.language.words import MACHINE_STATE, MACHINE_STATES, Condition, Near, placeholders

Problems = Iterator[tuple[str, str]]


def condition_problems(profile: Profile, key: str, conditions: list[Condition], params: set[str]) -> Problems:
    for condition in conditions:
        for name, expected in condition.items():
            if name == MACHINE_STATE:  # a typo here would mean that nothing is ever confirmed
                yield from state_problems(key, expected if isinstance(expected, list) else [expected])
            if isinstance(expected, Near) and not expected.tolerance >= 0:
                yield key, f"the tolerance of {name} must be a number from 0 on"
            if name not in profile.fields:
                yield key, f"{name!r} is not one of fields ({', '.join(profile.fields)})"
            for missing in sorted(set(placeholders(getattr(expected, "near", expected))) - params):
                yield key, f"${missing} is not one of the command's params"


def state_problems(key: str, states: Iterable[object]) -> Problems:
    for state in states:
        if state not in MACHINE_STATES:
            yield key, f"{state!r} is not a machine state ({', '.join(MACHINE_STATES)})"


def condition_sense(profile: Profile) -> Iterator[tuple[str, str]]:
    made = _states(profile)
    for name, command in profile.commands.items():
        if command.states and not set(command.states) & made and set(command.states) <= set(MACHINE_STATES):
            yield f"commands.{name}.states", f"the profile makes none of these; it makes: {', '.join(sorted(made))}"
    yield from _already_so(profile)
    for key, conditions in _conditions(profile):
        for condition in conditions:
            for name, expected in condition.items():
                if name in profile.fields and _always(profile.fields[name], expected):
                    yield key, f"holds for most of the values that {name} can have; give a smaller tolerance"
            if not condition and ".rules[" not in key:
                yield key, "an empty condition holds whatever the robot says; name a field"
            for name, expected in condition.items():
                if name in profile.fields and (reason := _never(profile.fields[name], name, expected)):
                    yield key, reason


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


MOVING = frozenset({"moving", "docking"})


def _already_so(profile: Profile) -> Iterator[tuple[str, str]]:
    """What would be called confirmed although nothing happened."""
    yield from _false_stops(profile)
    for name, command in profile.commands.items():
        shown, before = [*command.confirm, *command.done], set(command.states)
        if command.kind != "motion" and any(MOVING.intersection(_wanted_states(condition)) for condition in shown):
            yield f"commands.{name}.class", 'moves the robot, as its confirm says; then it is class = "motion"'
        for condition in command.confirm if command.kind == "motion" and before else ():
            if condition.keys() == {MACHINE_STATE} and before <= _wanted_states(condition):
                words = "holds before the command is sent, in every state that allows it; it would confirm a robot that does nothing"
                yield f"commands.{name}.confirm", words


def _false_stops(profile: Profile) -> Iterator[tuple[str, str]]:
    state = profile.fields.get(MACHINE_STATE)
    rules = state.rules if state else []
    otherwise = rules[-1].value if rules and not rules[-1].when else None
    for condition in profile.stop.stopped:
        wanted = _wanted_states(condition)
        if "unknown" in wanted:
            yield "stop.stopped", "`unknown` is every word that the map does not know; that is no proof that it stands"
        if moving := sorted(map(str, MOVING & wanted)):
            yield "stop.stopped", f"a robot that is {' or '.join(moving)} does not stand"
        if otherwise is not None and condition.keys() == {MACHINE_STATE} and otherwise in wanted:
            words = f"whatever nobody has foreseen would read {otherwise}, and confirm a stop; say unknown"
            yield f"fields.{MACHINE_STATE}.rules[{len(rules) - 1}].value", words


def _wanted_states(condition: Condition) -> set[object]:
    expected = condition.get(MACHINE_STATE)
    return set(expected) if isinstance(expected, list) else {expected}


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
        known = words | ({"unknown"} if field.map or name == MACHINE_STATE else set())  # what the map does not know
        told = ", ".join(sorted(str(word) for word in words))
        return None if known & set(wanted) else f"{name!r} never reads {wanted[0]!r}; the profile makes of it: {told}"
    if isinstance(expected, Near) and not _is_number(expected.near):
        return f"{expected.near!r} is no number to be near to; a parameter is written with its $: ${str(expected.near).lstrip('$')}"
    if isinstance(expected, Near) and _is_number(expected.near) and _out_of_range(field, expected):
        return f"{name!r} never reads {expected.near:g}; its values are from {field.minimum} to {field.maximum}"
    if field.type == "number" and not (isinstance(expected, Near) or _is_number(expected)):
        return f"{name!r} is a number; compare it with one, or with {{ near = …, tolerance = … }}"
    if field.type in ("text", "time") and not all(isinstance(one, str) for one in wanted):
        return f"{name!r} is a text; compare it with one, in quotes"
    return None


def _always(field: Field, expected: Any) -> bool:
    """Whether most values of the field would do: that shows nothing."""
    if not isinstance(expected, Near) or field.minimum is None or field.maximum is None:
        return False
    low, high, width = field.minimum, field.maximum, field.maximum - field.minimum
    if not _is_number(expected.near):
        return expected.tolerance >= width / 2
    near = float(expected.near)
    return min(high, near + expected.tolerance) - max(low, near - expected.tolerance) >= width / 2


def _out_of_range(field: Field, expected: Near) -> bool:
    near = float(expected.near)
    low, high = field.minimum, field.maximum
    return (low is not None and near + expected.tolerance < low) or (
        high is not None and near - expected.tolerance > high
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
