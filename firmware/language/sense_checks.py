"""Numbers, headers, words and parameters of a profile that make no sense on any robot: (key, reason)."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from firmware.language.kind import Profile
from firmware.language.words import placeholders

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
FLAG_WORDS = {"true", "false"}


def sense_problems(profile: Profile) -> Iterator[tuple[str, str]]:
    yield from _number_problems(msgspec.to_builtins(profile), "")
    yield from _header_problems(profile)
    for name, count in Counter(profile.auth.tokens).items():
        if count > 1:
            yield "auth.tokens", f"{name!r} is named {count} times"
    for name, field in profile.fields.items():
        if field.type == "flag" and field.map and not set(field.map.values()) <= FLAG_WORDS:
            yield f"fields.{name}.map", 'a flag is "true" or "false"; for other words say type = "text"'
    yield from _bare_words(profile)
    yield from _dead_rules(profile)
    yield from _unused_params(profile)


def _number_problems(part: Any, key: str) -> Iterator[tuple[str, str]]:
    """TOML knows numbers that no robot can be sent and nothing can be compared with; and a scale of 0 makes all nothing."""
    if isinstance(part, list):
        for index, inner in enumerate(part):
            yield from _number_problems(inner, f"{key}[{index}]")
    elif isinstance(part, dict):
        for name, inner in part.items():
            where = f"{key}.{name}" if key else name
            if name == "scale" and isinstance(inner, float | int) and not (math.isfinite(inner) and inner):
                yield where, "must be a number other than 0"
            else:
                yield from _number_problems(inner, where)
    elif isinstance(part, float) and not math.isfinite(part):
        yield key, f"must be a number; {part} is none"


def _header_problems(profile: Profile) -> Iterator[tuple[str, str]]:
    auth, fixed = profile.auth, profile.transport.headers
    for key, name in [("auth.header", auth.header), *((f"transport.headers.{name}", name) for name in fixed)]:
        if not HEADER_NAME.fullmatch(name):
            yield key, f"{name!r} is not the name of a header"
    values = {"auth.scheme": auth.scheme, "auth.template": auth.template}
    for key, value in (values | {f"transport.headers.{name}": value for name, value in fixed.items()}).items():
        if not HEADER_VALUE.fullmatch(value):
            yield key, "holds characters that a header cannot carry, such as a line break"


BARE_WORD = re.compile(r"[=!<>]=?\s*(true|false|null)\b(?![\w.`'\"])")


def _bare_words(profile: Profile) -> Iterator[tuple[str, str]]:
    """`ok == false` compares with a field of the name `false`: a refusal would pass for a yes."""
    for key, path in expressions(profile):
        if found := BARE_WORD.search(re.sub(r"'[^']*'|`[^`]*`", "", path)):
            yield key, f"compares with a field named {found[1]}; write it in backticks: `{found[1]}`"


def expressions(profile: Profile) -> Iterator[tuple[str, str]]:
    """The JMESPaths in which things are compared."""
    yield "replies.refused", profile.replies.refused
    for name, field in profile.fields.items():
        for index, source in enumerate(field.sources):
            yield f"fields.{name}.from[{index}].path", source.path
    for name, read in profile.reads.items():
        yield from (
            (f"reads.{name}.{key}", path) for key in ("taken_at", "clock", "alive") if (path := getattr(read, key))
        )
    if profile.registers:
        yield "registers.writable", profile.registers.writable


def _dead_rules(profile: Profile) -> Iterator[tuple[str, str]]:
    for name, field in profile.fields.items():
        if len({repr(rule.value) for rule in field.rules}) == 1:
            yield f"fields.{name}.rules", f"make {field.rules[0].value!r} of whatever the robot says"
        always = next((index for index, rule in enumerate(field.rules) if not rule.when), None)
        if always is not None and always < len(field.rules) - 1:
            yield (
                f"fields.{name}.rules[{always}].when",
                "always holds; the rules after it are never reached: put it last",
            )


def _unused_params(profile: Profile) -> Iterator[tuple[str, str]]:
    for name, command in profile.commands.items():
        used = set(placeholders([command.path, command.body]))
        misspelt = used - command.params.keys() - profile.settings.keys()  # told of where it stands
        misspelt -= command.hold.forward.keys() if command.hold else set()
        for param in sorted(command.params.keys() - used) if not misspelt else ():
            yield f"commands.{name}.params.{param}", f'is sent nowhere: say "${param}" in the path or the body'
