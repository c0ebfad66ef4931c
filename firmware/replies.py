"""What robots say, and what they are told: values out of a reply, parameters into a template. Pure."""

import functools
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jmespath
from jmespath.exceptions import JMESPathError

from firmware.errors import FirmwareError
from firmware.profile_language import PLACEHOLDER, Field, Read


def taken_at(read: Read, reply: Any, began_at: float) -> float | None:
    """Since when the values of a reply hold at the latest (epoch s); None: the robot should have said it and did not."""
    if read.taken_at is None:
        return began_at
    said = find(read.taken_at, reply)
    sound = isinstance(said, int | float) and not isinstance(said, bool) and abs(said) < 1e15  # NaN is not
    return min(float(said), began_at) if sound else None


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
        value = convert(spec, find(source.path, reply), source.scale, source.offset)
        if value is not None:
            return value
    return None


def convert(spec: Field, raw: Any, scale: float = 1.0, offset: float = 0.0) -> Any:
    """A raw value as the field's type; None when it is none. A word that the map does not know is "unknown"."""
    if raw is None:
        return None
    if spec.map:
        return spec.map.get(str(raw), "unknown")
    if spec.type == "flag":
        return raw if isinstance(raw, bool) else None
    if spec.type == "text":
        return printable(str(raw)[:200]) if isinstance(raw, str | int | float) else None
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        number = float(raw) * scale + offset
    except (ValueError, OverflowError):
        return None
    low, high = spec.minimum, spec.maximum
    sound = math.isfinite(number) and (low is None or number >= low) and (high is None or number <= high)
    return round(number, 9) if sound else None


def path_part(value: Any) -> str:
    """One part of a path. What would be no part, or lead out of it, is refused: quoting leaves dots alone."""
    if value is None or str(value) in ("", ".", ".."):
        raise FirmwareError(f"{value!r} cannot be part of a path.")
    return quote(str(value), safe="")


def fill(template: Any, params: dict[str, Any]) -> Any:
    """A template with its parameters: the whole string `$name` becomes the typed value; what was not given is left out."""
    if isinstance(template, dict):
        filled = {key: fill(value, params) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(template, list):
        return [fill(value, params) for value in template]
    if isinstance(template, str) and (match := PLACEHOLDER.fullmatch(template)):
        return params.get(match[1])
    return template
