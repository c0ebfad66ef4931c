"""Whether a file has the structure of a profile, part by part: everything that is wrong at once, each with its key.

Also where a key stands in the file, and what the language says of it.
"""

import copy
import difflib
import re
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from firmware.language.kind import Profile
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
    plain, args = _plain(kind), get_args(_plain(kind))
    if isinstance(plain, type) and issubclass(plain, Part) and isinstance(value, dict):
        yield from _check_part(value, plain, key)
    elif get_origin(plain) is dict and isinstance(value, dict) and _has_parts(args[1]):
        for name, inner in value.items():
            yield from _check(inner, args[1], f"{key}.{name}")
    elif get_origin(plain) is list and isinstance(value, list) and _has_parts(args[0]):
        for index, inner in enumerate(value):
            yield from _check(inner, args[0], f"{key}[{index}]")
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            reason, _, inside = str(error).partition(" - at `$")
            yield (
                key + inside.strip("`").replace("[...]", ""),
                in_words(reason, get_args(plain) if get_origin(plain) is Literal else ()),
            )


NAMES = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "a table", "null": "nothing", "date": "a date", "datetime": "a date", "time": "a time",
}  # fmt: skip
BOUNDS = {">": "greater than", ">=": "at least", "<": "less than", "<=": "at most"}


def in_words(reason: str, choices: tuple[Any, ...] = ()) -> str:
    """What the type library says, as an engineer would."""
    if choices:
        return f"must be one of {', '.join(str(choice) for choice in choices)}"
    if reason.endswith(f"matching regex {PATH!r}"):
        return "must be a path from the root: one `/`, then no spaces, no `#` and no host"
    if bound := re.match(r"Expected `\w+` ([<>]=?) (.+)$", reason):
        return f"must be {BOUNDS[bound[1]]} {float(bound[2]):.12g}"
    if types_ := re.match(r"Expected `([^`]+)`, got `([^`]+)`$", reason):
        wanted = [NAMES.get(one, one) for one in types_[1].split(" | ") if one != "null"]
        return f"must be {' or '.join(wanted)}, not {NAMES.get(types_[2], types_[2])}"
    if lacks := re.match(r"Object missing required field (`\w+`)$", reason):
        return f"lacks {lacks[1]}"
    if strange := re.match(r"Object contains unknown field (`\w+`)$", reason):
        return f"has {strange[1]}, which is unknown here"
    return reason


def mended(raw: dict[str, Any], keys: Iterable[str]) -> dict[str, Any] | None:
    """A copy in which the language's own examples stand where `keys` are wrong, so that the rest can be looked at, too.

    None where that does not make it sound.
    """
    whole = copy.deepcopy(raw)
    try:
        for key in keys:
            _mend(whole, key)
    except (
        LookupError,
        TypeError,
    ):  # the key names no place: an entry before it in the list is gone, or it is part of a choice
        return None
    return None if any(faults(whole)) else whole


def _mend(whole: dict[str, Any], key: str) -> None:
    *above, last = _steps(whole, key)
    place: Any = whole
    for step in above:
        place = place[step]
    kind = _kind_of(key)
    if isinstance(place, list) or kind is None:
        del place[last]
        return
    place.pop(last, None)
    if (meta := _meta(kind)) and meta.examples:
        place[last] = meta.examples[0]


def _steps(raw: Any, key: str) -> list[Any]:
    """The way to `key` in the file; a name may have dots in it."""
    steps: list[Any] = []
    step: Any
    while key:
        if index := re.match(r"\[(\d+)\]\.?", key):
            step, rest = int(index[1]), key[index.end() :]
        else:
            known = (
                [name for name in raw if re.match(re.escape(name) + r"(\.|\[|$)", key)] if isinstance(raw, dict) else []
            )
            name = max(known, key=len, default=re.split(r"[.\[]", key)[0])
            step, rest = name, key[len(name) :].removeprefix(".")
        steps.append(step)
        raw = raw[step] if isinstance(raw, list) else raw.get(step) if isinstance(raw, dict) else None
        key = rest
    return steps


def _check_part(value: dict[str, Any], part: type[Part], key: str) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(part, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(part)}
    dot = f"{key}." if key else ""
    for name in value.keys() - fields.keys():
        near = difflib.get_close_matches(name, fields, n=1)
        mend = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(sorted(fields))}."
        yield f"{dot}{name}", f"unknown key. {mend}"
    for name, field in fields.items():
        if name in value:
            yield from _check(value[name], hints[field.name], dot + name)
        elif field.required:
            yield f"{dot}{name}", "is missing"


def _plain(kind: Any) -> Any:
    """The type without its annotations and without None."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        rest = [one for one in get_args(kind) if one is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else kind
    return kind


def _has_parts(kind: Any) -> bool:
    plain = _plain(kind)
    if get_origin(plain) in (dict, list):
        return _has_parts(get_args(plain)[-1])
    return isinstance(plain, type) and issubclass(plain, Part)


def _kind_of(key: str) -> Any:
    """The type of what stands at `key`; None where the language has no such key."""
    kind: Any = Profile
    for step in re.findall(r"[^.\[\]]+|\[\d+\]", key):
        plain = _plain(kind)
        if isinstance(plain, type) and issubclass(plain, Part):
            field = next((f for f in msgspec.structs.fields(plain) if f.encode_name == step), None)
            kind = get_type_hints(plain, include_extras=True)[field.name] if field else None
        else:
            kind = get_args(plain)[-1] if get_args(plain) else None
    return kind


def example(key: str) -> str | None:
    """How the key, or the one that it is part of, may look in a file, from the language itself."""
    kind: Any = Profile
    name, meta = "", None
    for step in re.findall(r"[^.\[\]]+|\[\d+\]", key):
        plain = _plain(kind)
        if isinstance(plain, type) and issubclass(plain, Part):
            field = next((f for f in msgspec.structs.fields(plain) if f.encode_name == step), None)
            if field is None:
                return None
            kind = get_type_hints(plain, include_extras=True)[field.name]
            name, meta = step, _meta(kind)
        elif get_args(plain):
            kind = get_args(plain)[-1]
        else:
            break
    return f"{name} = {_toml(meta.examples[0])}" if meta and meta.examples else None


def example_of(kind: Any) -> str | None:
    """The example that a key's type carries, as it stands in a file."""
    meta = _meta(kind)
    return _toml(meta.examples[0]) if meta and meta.examples else None


def _meta(kind: Any) -> msgspec.Meta | None:
    if get_origin(kind) is Annotated:
        found = [meta for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta) and meta.examples]
        return found[-1] if found else _meta(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return next((meta for one in get_args(kind) if (meta := _meta(one))), None)
    return None


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_bare(name)} = {_toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return msgspec.json.encode(value).decode()


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


HEADER = re.compile(r"""\s*(\[\[?)([\w"'.\- ]+)\]\]?\s*(#.*)?$""")


def line_of(text: str, key: str) -> int | None:
    """The line on which `key` stands, or the nearest table above it that is there."""
    steps = [step.strip('"') for step in re.findall(r'"[^"]*"|[^.\[\]"]+', key)]
    table: list[str] = []
    counts: dict[str, int] = {}  # of the tables of an array
    best, best_depth = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            table = [step.strip(' "') for step in re.findall(r'"[^"]*"|[^.\s"]+', header[2])]
            if header[1] == "[[":
                index = counts[header[2]] = counts.get(header[2], -1) + 1
                table.append(str(index))
            here = table
        elif name := re.match(r'\s*("[^"]*"|[\w.-]+)\s*=', line):
            here = table + [step.strip('"') for step in ([name[1]] if name[1][0] == '"' else name[1].split("."))]
        else:
            continue
        if here == steps[: len(here)] and len(here) > best_depth:
            best, best_depth = number, len(here)
    return best
