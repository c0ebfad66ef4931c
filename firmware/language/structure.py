"""Whether a file has the structure of a profile, part by part: everything that is wrong at once, each with its key."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import msgspec

from firmware.language.kind import Profile
from firmware.language.shapes import has_parts, is_part, keys_of, plain
from firmware.language.words import PATH, Part


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, why, and what would be right."""

    key: str
    reason: str
    line: int | None = None
    example: str | None = None

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}" + (f"  For example: {self.example}" if self.example else "")


def faults(raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, reason) of all that does not fit the language's types."""
    yield from _check(raw, Profile, "")


def _check(value: Any, kind: Any, key: str) -> Iterator[tuple[str, str]]:
    bare, args = plain(kind), get_args(plain(kind))
    if is_part(bare) and isinstance(value, dict):
        yield from _check_part(value, bare, key)
    elif get_origin(bare) is dict and isinstance(value, dict) and has_parts(args[1]):
        for name, inner in value.items():
            if misplaced := _misplaced(name, inner, args[1], key):
                yield f"{key}.{name}", misplaced
            else:
                yield from _check(inner, args[1], f"{key}.{name}")
    elif get_origin(bare) is list and isinstance(value, list) and has_parts(args[0]):
        for index, inner in enumerate(value):
            yield from _check(inner, args[0], f"{key}[{index}]")
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            reason, _, inside = str(error).partition(" - at `$")
            choices = args if get_origin(bare) is Literal else ()
            yield key + inside.strip("`").replace("[...]", ""), in_words(reason, choices, value)


def _check_part(value: dict[str, Any], part: type[Part], key: str) -> Iterator[tuple[str, str]]:
    known = keys_of(part)
    dot = f"{key}." if key else ""
    for name in value.keys() - known.keys():
        near = MEANT.get((part.__name__, name)) or _nearest(name, known)
        mend = f"Did you mean `{near}`?" if near else f"Known here: {', '.join(sorted(known))}."
        yield f"{dot}{name}", f"unknown key. {mend}"
    for name, (kind, required) in known.items():
        if name in value:
            yield from _check(value[name], kind, dot + name)
        elif required:
            yield f"{dot}{name}", "is missing"


def _misplaced(name: str, value: Any, kind: Any, key: str) -> str | None:
    """`[commands.params]` for `[commands.NAME.params]`: a table whose name is left out, or one that needs none."""
    bare = plain(kind)
    if key == "commands" and name in ("stop", "reset"):
        return f"is not a command; it has a table of its own: [{name}]"
    if not is_part(bare) or not isinstance(value, dict):
        return None
    known = keys_of(bare)
    lacks = [one for one, (_, required) in known.items() if required and one not in value]
    return f"a name is missing: [{key}.NAME.{name}]" if name in known and lacks else None


def _nearest(name: Any, known: Iterable[Any]) -> Any:
    """The one of `known` that was meant, perhaps."""
    folded = {str(one).lower(): one for one in known}
    near = difflib.get_close_matches(str(name).lower(), folded, n=1)
    return folded[near[0]] if near else None


MEANT = {
    ("Field", "path"): 'from = [{ read = "state", path = "…" }]',
    ("Field", "read"): 'from = [{ read = "state", path = "…" }]',
    ("Stop", "confirm"): "stopped",
}
NAMES = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "a table", "null": "nothing", "date": "a date", "datetime": "a date", "time": "a time",
}  # fmt: skip
BOUNDS = {">": "greater than", ">=": "at least", "<": "less than", "<=": "at most"}
SAME = {
    "float": "number",
    "int": "integer",
    "string": "text",
    "str": "text",
    "bool": "flag",
    "boolean": "flag",
    "move": "motion",
}
LACKS = {
    "near": '{ near = "$target_m", tolerance = 0.05 }',
    "tolerance": 'how far off still counts: { near = "$target_m", tolerance = 0.05 }',
}


def in_words(reason: str, choices: tuple[Any, ...] = (), value: Any = None) -> str:
    """What the type library says, as an engineer would."""
    if choices:
        near = SAME.get(value) if isinstance(value, str) and SAME.get(value) in choices else _nearest(value, choices)
        return f"must be one of {', '.join(str(choice) for choice in choices)}" + (
            f". Did you mean {near}?" if near is not None else ""
        )
    if reason.endswith(f"matching regex {PATH!r}"):
        return "must be a path from the root: one `/`, then no spaces, no line breaks, no `#` and no host"
    if bound := re.match(r"Expected `\w+` ([<>]=?) (.+)$", reason):
        return f"must be {BOUNDS[bound[1]]} {float(bound[2]):.12g}"
    if types_ := re.match(r"Expected `([^`]+)`, got `([^`]+)`$", reason):
        wanted = [NAMES.get(one, one) for one in types_[1].split(" | ") if one != "null"]
        return f"must be {' or '.join(wanted)}, not {NAMES.get(types_[2], types_[2])}"
    if lacks := re.match(r"Object missing required field `(\w+)`$", reason):
        return f"lacks `{lacks[1]}`" + (f"; {LACKS[lacks[1]]}" if lacks[1] in LACKS else "")
    if strange := re.match(r"Object contains unknown field (`\w+`)$", reason):
        return f"has {strange[1]}, which is unknown here"
    return reason
