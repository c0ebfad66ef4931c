"""What is wrong with the parts of a profile that tell of modules, registers, scans and settings."""

from collections.abc import Iterator
from typing import Any

from firmware.equipment_shapes import one_by_one
from firmware.language.kind import Profile
from firmware.language.reads import Ask
from firmware.language.words import placeholders

FETCH_KEYS = ("taken_at", "clock")
PATHS = {
    "modules": ("list", "address"),
    "registers": ("list", "address", "value", "name", "type", "writable", "minimum", "maximum", "unit"),
    "lidar": ("points", "angle", "distance", "strength", "distances", "first_deg", "step_deg"),
}


def equipment_expressions(profile: Profile, raw: dict[str, Any]) -> dict[str, str | None]:
    """Key → JMESPath. `raw` is the profile as plain values."""
    found: dict[str, str | None] = {}
    for part, keys in PATHS.items():
        given = raw.get(part) or {}
        found |= {f"{part}.{key}": given.get(key) for key in keys + FETCH_KEYS if isinstance(given.get(key), str)}
    if profile.modules:
        found |= {f"modules.fields.{name}.path": item.path for name, item in profile.modules.fields.items()}
        for name, detail in profile.modules.details.items():
            found |= {f"modules.details.{name}.fields.{n}.path": item.path for n, item in detail.fields.items()}
    for name, group in profile.config.items():
        found |= {f"config.{name}.settings.{n}.path": setting.path for n, setting in group.settings.items()}
    return found


def equipment_tokens(profile: Profile) -> dict[str, str | None]:
    """Key → token."""
    found: dict[str, str | None] = {}
    for part in ("modules", "registers", "lidar"):
        if (given := getattr(profile, part)) is not None:
            found[f"{part}.token"] = given.token
    if profile.registers and profile.registers.write:
        found["registers.write.token"] = profile.registers.write.token
    for name, group in profile.config.items():
        found[f"config.{name}.token"] = group.token
        if group.write:
            found[f"config.{name}.write.token"] = group.write.token
    return found


def fetches(profile: Profile) -> dict[str, Ask]:
    """Key → a part of the equipment that is asked for."""
    parts = {"modules": profile.modules, "registers": profile.registers, "lidar": profile.lidar}
    found: dict[str, Ask] = {name: part for name, part in parts.items() if part is not None}
    found |= {
        f"modules.details.{name}": one for name, one in (profile.modules.details if profile.modules else {}).items()
    }
    return found | {f"config.{name}": group for name, group in profile.config.items()}


def equipment_problems(profile: Profile) -> Iterator[tuple[str, str]]:
    """(key, reason) of what could never work."""
    if profile.registers:
        yield from _must_take("registers.path", profile.registers.path, {"module"}, profile)
        if profile.registers.write:
            write = profile.registers.write
            yield from _must_take("registers.write", [write.path, write.body], {"module", "register", "value"}, profile)
        if not profile.modules:
            yield "registers", "belong to modules; say in [modules] which there are"
    yield from _config_problems(profile)
    if profile.lidar and not (profile.lidar.points or profile.lidar.distances):
        yield "lidar", "must say where the scan is: `points` or `distances`"


def _config_problems(profile: Profile) -> Iterator[tuple[str, str]]:
    for name, group in profile.config.items():
        if group.write:
            used = set(placeholders([group.write.path, group.write.body]))
            if "value" in used and "key" not in used:
                yield (
                    f"config.{name}.write",
                    "says $value and not of what: add $key (which is `key` of the setting, or its name)",
                )
                continue
            needed = {"key", "value"} if one_by_one(group.write) else {"values"}
            yield from _must_take(f"config.{name}.write", [group.write.path, group.write.body], needed, profile)
        for key, setting in group.settings.items():
            if setting.minimum is not None and setting.maximum is not None and setting.minimum > setting.maximum:
                words = f"no value is at least {setting.minimum:g} and at most {setting.maximum:g}"
                yield f"config.{name}.settings.{key}.minimum", words


def _must_take(key: str, template: Any, needed: set[str], profile: Profile) -> Iterator[tuple[str, str]]:
    used = set(placeholders(template)) - profile.settings.keys()
    for missing in sorted(needed - used):
        yield key, f"must say where ${missing} goes"
