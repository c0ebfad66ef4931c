"""Whether readings show what a profile says they must. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from firmware.client import fill
from firmware.profile_language import Condition, Near


def hold(conditions: Sequence[Condition], values: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> bool:
    """Whether any of `conditions` is met whole by `values`. A value that is missing meets nothing."""
    return any(
        all(_met(expected, values.get(name), dict(params or {})) for name, expected in one.items())
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
