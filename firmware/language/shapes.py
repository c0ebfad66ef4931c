"""The language's types, walked: what may stand at a key of a profile."""

import re
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from firmware.language.kind import Profile
from firmware.language.words import Part


def plain(kind: Any) -> Any:
    """The type without its annotations and without None."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        rest = [one for one in get_args(kind) if one is not type(None)]
        return plain(rest[0]) if len(rest) == 1 else kind
    return kind


def is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Part)


def has_parts(kind: Any) -> bool:
    """Whether it is a table of the language, or holds some."""
    bare = plain(kind)
    if get_origin(bare) in (dict, list):
        return has_parts(get_args(bare)[-1])
    return is_part(bare)


def keys_of(part: type[Part]) -> dict[str, tuple[Any, bool]]:
    """Key → (its type, whether it must be there)."""
    hints = get_type_hints(part, include_extras=True)
    return {field.encode_name: (hints[field.name], field.required) for field in msgspec.structs.fields(part)}


def steps_of(key: str) -> list[str]:
    return re.findall(r"[^.\[\]]+|\[\d+\]", key)


def kind_of(key: str) -> Any:
    """The type of what stands at `key`; None where the language has no such key."""
    kind: Any = Profile
    for step in steps_of(key):
        bare = plain(kind)
        if is_part(bare):
            kind, _ = keys_of(bare).get(step, (None, False))
        else:
            kind = get_args(bare)[-1] if get_args(bare) else None
    return kind


def meta_of(kind: Any) -> msgspec.Meta | None:
    """What the language says of a type with examples."""
    if get_origin(kind) is Annotated:
        found = [meta for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta) and meta.examples]
        return found[-1] if found else meta_of(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return next((meta for one in get_args(kind) if (meta := meta_of(one))), None)
    return None
