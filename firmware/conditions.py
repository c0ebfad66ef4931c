"""Whether readings show what a profile says they must. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from firmware.client import Observation, fill
from firmware.language.kind import Profile
from firmware.language.words import Condition, Near


def derived(spec: Profile, observed: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, float]]:
    """The fields that follow from others, out of name → [value, epoch s]: as old as the oldest that they rest on.

    A rule that cannot be told decides nothing, and none after it: what is not known is not excluded.
    """
    found: dict[str, tuple[Any, float]] = {}
    for name, field in spec.derived.items():
        since = math.inf
        for rule in field.rules:
            inputs = [observed.get(key) for key in rule.when]
            if any(given is None for given in inputs):
                break
            since = min([since, *(given[1] for given in inputs if given)])
            if hold([rule.when], {key: observed[key][0] for key in rule.when}):
                found[name] = (rule.value, since)
                break
    return {name: (value, since) for name, (value, since) in found.items() if math.isfinite(since)}


def values_of(spec: Profile, seen: Iterable[Observation]) -> dict[str, Any]:
    """What several reads said together, and what follows from it."""
    observed: dict[str, tuple[Any, float]] = {}
    for one in sorted(seen, key=lambda one: one.began_at):  # what was observed later wins
        observed |= {name: (value, one.began_at) for name, value in one.values.items()}
    return {name: value for name, (value, _) in (observed | derived(spec, observed)).items()}


def hold(conditions: Sequence[Condition], values: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> bool:
    """Whether any of `conditions` is met whole by `values`. A value that is missing meets nothing."""
    return any(
        all(_met(expected, values.get(name), dict(params or {})) for name, expected in one.items())
        for one in conditions
    )


def refuted(
    conditions: Sequence[Condition], values: Mapping[str, Any], params: Mapping[str, Any], unread: frozenset[str]
) -> bool:
    """Whether it is known that none of `conditions` holds. What could not be read (`unread`) refutes nothing."""
    return all(
        any(
            name not in unread if values.get(name) is None else not _met(expected, values[name], dict(params))
            for name, expected in one.items()
        )
        for one in conditions
    )


def _met(expected: Any, value: Any, params: dict[str, Any]) -> bool:
    if value is None:
        return False
    if isinstance(expected, Near):
        target = fill(expected.near, params)
        return (
            isinstance(target, int | float)
            and isinstance(value, int | float)
            and abs(value - target) <= expected.tolerance
        )
    if isinstance(expected, list):
        return value in expected
    return bool(value == fill(expected, params))
