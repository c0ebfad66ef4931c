"""What robots say, and what they are told: values out of a reply, parameters into a template. Pure."""

import functools
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import jmespath
from jmespath.exceptions import JMESPathError

from firmware.errors import FirmwareError
from firmware.language.reads import Field, Value
from firmware.language.words import PLACEHOLDER


def instant(said: Any) -> float | None:
    """A time as robots write it, as epoch seconds: epoch s, ms or µs (told apart by size), or ISO 8601 (UTC if it says none)."""
    if isinstance(said, str) and re.fullmatch(r"\d+(\.\d+)?", said.strip()):
        said = float(said)  # out of a text reply
    if isinstance(said, str):
        try:
            told = datetime.fromisoformat(said)
            return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(said, bool) or not isinstance(said, int | float) or not abs(said) < 1e17:  # NaN is not
        return None
    return float(said) / (1e6 if abs(said) >= 1e14 else 1e3 if abs(said) >= 1e11 else 1)


def taken_at(path: str | None, clock: str | None, reply: Any, began_at: float) -> float | None:
    """Since when the values of a reply hold at the latest (epoch s); None: the robot should have said it and did not.

    With `clock`, the robot's own present time, the age is told by its clock alone, however wrong that is.
    """
    if path is None:
        return began_at
    taken = instant(find(path, reply))
    if taken is None or clock is None:
        return None if taken is None else min(taken, began_at)
    present = instant(find(clock, reply))
    return None if present is None else began_at - max(0.0, present - taken)


def clock_offset(clock: str | None, reply: Any, began_at: float, ended_at: float) -> float | None:
    """How far the robot's clock is ahead of ours (s); None when it does not tell the time, or within what the request took."""
    present = instant(find(clock, reply)) if clock else None
    if present is None:
        return None
    return round(present - min(max(present, began_at), ended_at), 3)


def printable(text: str) -> str:
    """Without line breaks, and without the control characters that a terminal obeys and PostgreSQL refuses."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


@functools.cache
def _finder(path: str) -> Callable[[Any], Any]:
    """The JMESPath of a profile as a function. Most are plain names in a row: walking those needs no interpreter."""
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", path, re.ASCII):
        return jmespath.compile(path).search  # type: ignore[no-any-return]
    names = path.split(".")

    def walk(value: Any) -> Any:
        for name in names:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return walk


def find(path: str, reply: Any) -> Any:
    """JMESPath; an expression that does not fit this reply finds nothing in it."""
    try:
        return _finder(path)(reply)
    except JMESPathError:
        return None


def extract(spec: Field, read: str, reply: Any) -> Any:
    """The field's value in a reply of `read`: the first source that gives a sound one. None: this reply gives none."""
    for source in spec.sources:
        if source.read != read:
            continue
        raw = find(source.path, reply)
        if source.bit is not None:
            raw = bool(raw >> source.bit & 1) if isinstance(raw, int) and not isinstance(raw, bool) else None
        value = convert(spec, raw, source.scale, source.offset)
        if value is not None:
            return value
    return None


def convert(spec: Value, raw: Any, scale: float = 1.0, offset: float = 0.0) -> Any:
    """A raw value as the field's type; None when it is none. A word that the map does not know is "unknown"."""
    if raw is None:
        return None
    if spec.map and spec.type == "flag":
        return {"true": True, "false": False}.get(spec.map.get(word(raw), ""))
    if spec.map:
        return spec.map.get(word(raw), "unknown")
    if spec.type == "flag":
        return raw if isinstance(raw, bool) else bool(raw) if raw in (0, 1) else None
    if spec.type == "text":
        return printable(word(raw)[:200]) if isinstance(raw, str | int | float) else None
    if spec.type == "time":
        at = instant(raw)
        return (
            None if at is None or not 0 <= at < 1e11 else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        )
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        number = float(raw) * scale + offset
    except (ValueError, OverflowError):
        return None
    low, high = spec.minimum, spec.maximum
    sound = math.isfinite(number) and (low is None or number >= low) and (high is None or number <= high)
    return round(number, 9) if sound else None


def word(raw: Any) -> str:
    """A raw value as it is written in a profile: whole numbers without a point, none with an exponent, true and false as
    in JSON."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float) and math.isfinite(raw):
        return str(int(raw)) if raw.is_integer() else f"{Decimal(repr(raw)):f}"
    return str(raw)


def entries(path: str, reply: Any) -> list[dict[str, Any]]:
    """The entries of a list in a reply; of an object its values, each with its `key`. What is no object becomes `value`."""
    found = find(path, reply)
    pairs = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    keyed = isinstance(found, dict)
    return [
        ({"key": key} if keyed else {}) | (entry if isinstance(entry, dict) else {"value": entry})
        for key, entry in pairs
    ]


def path_part(value: Any) -> str:
    """One part of a path. What would be no part, or lead out of it, is refused: quoting leaves dots alone."""
    if value is None or word(value) in ("", ".", ".."):
        raise FirmwareError(f"{value!r} cannot be part of a path.")
    return quote(word(value), safe="")


def fill(template: Any, params: dict[str, Any]) -> Any:
    """A template with its parameters: the whole string `$name` becomes the typed value; what was not given is left out.

    Within a longer string it is written into it. Raises FirmwareError for what would break out of that.
    """
    if isinstance(template, dict):
        filled = {key: fill(value, params) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(template, list):
        return [fill(value, params) for value in template]
    if isinstance(template, str) and (match := PLACEHOLDER.fullmatch(template)):
        return params.get(match[1])
    if isinstance(template, str):
        return PLACEHOLDER.sub(lambda found: _text_part(found[1], params.get(found[1])), template)
    return template


def _text_part(name: str, value: Any) -> str:
    """A value as it stands within a text. A line break could be a second order to the robot."""
    written = "" if value is None else word(value)
    if not written.isprintable():
        raise FirmwareError(f"{name} holds a line break or another character that cannot stand within a text.")
    return written
