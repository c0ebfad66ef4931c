"""The reference of the profile language as a page: every table, every key, from the types themselves."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from firmware.language.examples import example_of
from firmware.language.kind import Profile
from firmware.language.words import Part

HEAD = """# The profile language

Every table and key, made from the language itself (`manage.py profile_language`). How to write a profile:
[connect a robot](connect-a-robot.md). For an editor, `profile.schema.json` says the same.

Tables named `NAME` are yours to name. JMESPath is explained at jmespath.org; expressions are tried with `manage.py probe`.
"""


def page() -> str:
    """The whole reference, as Markdown."""
    parts: dict[type[Part], list[str]] = {}
    _walk(Profile, "", parts)
    return HEAD + "".join(_table(part, names) for part, names in parts.items())


def _walk(part: type[Part], where: str, parts: dict[type[Part], list[str]]) -> None:
    parts.setdefault(part, []).append(where)
    hints = get_type_hints(part, include_extras=True)
    for field in msgspec.structs.fields(part):
        key = f"{where}.{field.encode_name}" if where else field.encode_name
        for inner, suffix in _inner_parts(hints[field.name]):
            if inner.__name__ != "Near":
                _walk(inner, key + suffix, parts)


def _inner_parts(kind: Any) -> list[tuple[type[Part], str]]:
    if get_origin(kind) is Annotated:
        return _inner_parts(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [found for one in get_args(kind) for found in _inner_parts(one)]
    if get_origin(kind) is dict:
        return [(part, f".NAME{suffix}") for part, suffix in _inner_parts(get_args(kind)[1])]
    if get_origin(kind) is list:
        return [(part, f"[]{suffix}") for part, suffix in _inner_parts(get_args(kind)[0])]
    return [(kind, "")] if isinstance(kind, type) and issubclass(kind, Part) else []


def _table(part: type[Part], names: list[str]) -> str:
    shown = ", ".join(f"`[{name}]`" for name in names if name) or "the file"
    lines = [
        f"\n## {shown}\n",
        f"{(part.__doc__ or '').strip()}\n",
        "| key | is | without it | meaning |",
        "|---|---|---|---|",
    ]
    hints = get_type_hints(part, include_extras=True)
    for field in msgspec.structs.fields(part):
        example = example_of(hints[field.name])
        told = _meaning(hints[field.name]) + (f" Example: `{example}`" if example else "")
        lines.append(f"| `{field.encode_name}` | {_kind(hints[field.name])} | {_default(field)} | {_cell(told)} |")
    return "\n".join(lines) + "\n"


def _meaning(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        metas = [meta for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta)]
        return next((meta.description for meta in reversed(metas) if meta.description), "")
    if get_origin(kind) in (Union, types.UnionType):
        return next((told for one in get_args(kind) if (told := _meaning(one))), "")
    return ""


def _kind(kind: Any) -> str:
    """A type in a reader's words."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _kind(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(one) for one in args if one is not type(None)))
    if origin is Literal:
        return " · ".join(f"`{one}`" for one in args)
    if origin is list:
        return f"list of {_kind(args[0])}"
    if origin is dict:
        return "table" if _kind(args[1]) in ("table", "anything") else f"table of {_kind(args[1])}"
    if isinstance(kind, type) and issubclass(kind, Part):
        return "table"
    return {str: "text", float: "number", int: "whole number", bool: "true/false", Any: "anything"}.get(kind, str(kind))


def _default(field: Any) -> str:
    if field.required:
        return "**required**"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None or value in ("", [], {}) or isinstance(value, Part):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
