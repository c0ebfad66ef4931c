"""What a profile says and nothing would ever come of, because another key of it says otherwise: (key, reason)."""

import re
from collections.abc import Iterator

import msgspec

from firmware.language.equipment_checks import fetches
from firmware.language.kind import Profile
from firmware.language.reads import Ask, Auth, Field
from firmware.language.words import MACHINE_STATE, placeholders

Problems = Iterator[tuple[str, str]]


def idle_problems(profile: Profile) -> Problems:
    yield from _auth_problems(profile.auth)
    for name in profile.transport.headers:
        if name.lower() in ("authorization", "cookie", profile.auth.header.lower()):
            yield f"transport.headers.{name}", "a secret does not stand in a file; name a credential in [auth] tokens"
    used = set(placeholders(msgspec.to_builtins(profile)))
    for name in profile.settings.keys() - used:
        yield f"settings.{name}", f"is used nowhere: say ${name} in a path, an expression or a body"
    for name, field in profile.fields.items():
        yield from _field_problems(f"fields.{name}", field)
    yield from _read_problems(profile)
    yield from _pattern_problems(profile)
    yield from _equipment_problems(profile)


def _read_problems(profile: Profile) -> Problems:
    for name, read in profile.reads.items():
        if read.live_for_s is not None and read.every_s is not None and read.live_for_s < read.every_s:
            words = f"its values would be stale before they are read again, every {read.every_s:g} s"
            yield f"reads.{name}.live_for_s", words
    asked = {read.path: f"reads.{name}" for name, read in profile.reads.items()}
    asked |= {ask.path: key for key, ask in fetches(profile).items()}
    for path in profile.constants:
        if path in asked:
            yield f"constants.{path}", f"is read by {asked[path]}; say which of its values is one: {path} value"


LIVE_FOR_AT_MOST_S, READ_AT_LEAST_EVERY_S, FROZEN_AFTER_AT_MOST_S = 20.0, 10.0, 30.0


def too_slow(profile: Profile) -> Problems:
    """People stand beside the machine: its state is not live when it is a minute old."""
    for name in profile.reads_of(MACHINE_STATE) if MACHINE_STATE in profile.fields else ():
        read = profile.reads.get(name)
        if read is None:
            continue
        limits = {
            "every_s": (read.every_s, READ_AT_LEAST_EVERY_S),
            "live_for_s": (read.live_for_s, LIVE_FOR_AT_MOST_S),
            "frozen_after_s": (read.frozen_after_s if read.alive else None, FROZEN_AFTER_AT_MOST_S),
        }
        for key, (given, most) in limits.items():
            if given is not None and given > most:
                yield f"reads.{name}.{key}", f"the machine state rests on it; at most {most:g} s"


def _equipment_problems(profile: Profile) -> Problems:
    for name, detail in (profile.modules.details if profile.modules else {}).items():
        if "module" not in set(placeholders([detail.path, detail.body])) and len(detail.only) != 1:
            yield f"modules.details.{name}.path", "would tell the same of every module; say where $module goes"
    for module, table in (profile.registers.known if profile.registers else {}).items():
        for register, known in table.items():
            if known.minimum is not None and known.maximum is not None and known.minimum > known.maximum:
                words = f"no value is at least {known.minimum:g} and at most {known.maximum:g}"
                yield f"registers.known.{module}.{register}.minimum", words
    if profile.lidar and profile.lidar.step_deg == 0:
        yield "lidar.step_deg", "puts every distance at the same angle"


def _auth_problems(auth: Auth) -> Problems:
    if auth.scheme.lower() == "basic" and auth.encode != "base64":
        yield "auth.encode", 'HTTP Basic sends user:password as base64; say encode = "base64"'
    if auth.query is not None:
        for key in ("header", "scheme", "template"):
            if getattr(auth, key) != getattr(Auth(), key):
                yield f"auth.{key}", f"is not used: the token goes into the query, as {auth.query}; one of the two"
    elif auth.scheme and auth.template:
        yield "auth.scheme", "is not used: `template` says the header's whole value; one of the two"


def _field_problems(key: str, field: Field) -> Problems:
    if field.map and field.type in ("number", "time"):
        yield f"{key}.type", f'a map makes words, not a {field.type}; say type = "text"'
    if field.type in ("text", "flag", "time") and (field.minimum, field.maximum) != (None, None):
        yield f"{key}.minimum", f"a {field.type} has no range"
    for name in ("restart_when_falling", "uptime"):
        if getattr(field, name) and (field.type != "number" or field.map):
            yield f"{key}.{name}", "needs a number that grows"
    for index, source in enumerate(field.sources):
        if field.type != "number" and source.bit is None and (source.scale, source.offset) != (1.0, 0.0):
            yield f"{key}.from[{index}].scale", f"a {field.type} has no scale and no offset"
        if source.bit is not None and (source.scale, source.offset) != (1.0, 0.0):
            yield f"{key}.from[{index}].bit", "a bit is a flag; it has no scale and no offset"
        if source.bit is not None and field.type != "flag" and not field.map:
            yield f"{key}.type", 'a bit is a flag; say type = "flag"'


def _pattern_problems(profile: Profile) -> Problems:
    """A path that looks for what the pattern of its read does not name."""
    for name, read in profile.reads.items():
        yield from _not_given(
            read, ((f"reads.{name}.{key}", getattr(read, key)) for key in ("taken_at", "clock", "alive"))
        )
    for name, field in profile.fields.items():
        for index, source in enumerate(field.sources):
            if source.read in profile.reads:
                yield from _not_given(profile.reads[source.read], [(f"fields.{name}.from[{index}].path", source.path)])


def _not_given(ask: Ask, paths: Iterator[tuple[str, str | None]] | list[tuple[str, str | None]]) -> Problems:
    groups = _groups(ask)
    for key, path in paths if groups else ():
        if path and re.fullmatch(r"\w+(\.\w+)*", path) and path not in groups:
            yield key, f"the pattern gives no {path!r}; it gives: {', '.join(sorted(groups))}"


def _groups(ask: Ask) -> set[str]:
    """What a text reply becomes; empty where that is not known."""
    if ask.pattern is None:
        return set()
    try:
        return set(re.compile(ask.pattern).groupindex) | set(ask.empty or {})
    except re.error:
        return set()
