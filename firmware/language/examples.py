"""How a key may look in a file: the language's own examples."""

import re
from typing import Any, Literal, get_args, get_origin

import msgspec

from firmware.language.kind import Profile
from firmware.language.shapes import has_parts, is_part, keys_of, meta_of, plain, steps_of

MAKES_NO_SENSE = re.compile(r"(^|\.)(read_)?token$")  # the names are the profile's own, and told


def example(key: str) -> str | None:
    """How the key, or the one that it is part of, may look in a file."""
    if MAKES_NO_SENSE.search(key):
        return None
    kind: Any = Profile
    name, found = "", None
    for step in steps_of(key):
        bare = plain(kind)
        if is_part(bare):
            if step not in keys_of(bare):
                return None
            kind, _ = keys_of(bare)[step]
            name, found = step, sample(kind)
        elif get_args(bare):
            kind = get_args(bare)[-1]
        else:
            break
    if found is None and name == steps_of(key)[-1]:
        found = _table(kind)
    return None if found is None else f"{name} = {toml(found)}"


def _table(kind: Any) -> Any:
    """A table that is missing, with what it must have; None for what is none."""
    bare = plain(kind)
    if get_origin(bare) is dict and has_parts(bare):
        return {"NAME": sound(get_args(bare)[1])}
    return sound(kind) if is_part(bare) else None


def example_of(kind: Any) -> str | None:
    """The example that a key's type carries, as it stands in a file."""
    meta = meta_of(kind)
    return toml(meta.examples[0]) if meta and meta.examples else None


def sample(kind: Any) -> Any:
    """A value of this type that the language gives as an example, or the first of its choices; None: it has none."""
    if (meta := meta_of(kind)) and meta.examples:
        return meta.examples[0]
    bare = plain(kind)
    return get_args(bare)[0] if get_origin(bare) is Literal else None


def sound(kind: Any) -> Any:
    """Any value that fits the type: to look at the rest of a file as if it stood there."""
    if (found := sample(kind)) is not None:
        return found
    bare = plain(kind)
    if is_part(bare):
        return {key: sound(inner) for key, (inner, required) in keys_of(bare).items() if required}
    origin = get_origin(bare) or bare
    return {dict: {}, list: [], str: "x", float: 1.0, int: 1, bool: True}.get(origin, "x")


def toml(value: Any) -> str:
    """A value as it stands in a file, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    return msgspec.json.encode(value).decode()


def _key(name: str) -> str:
    """A key; digits in quotes, as they are text."""
    return name if re.fullmatch(r"[A-Za-z_-][A-Za-z0-9_-]*", name) else f'"{name}"'
