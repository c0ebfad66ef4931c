"""Modules, registers, scans and settings out of what a robot says. Pure: a reply in, a document of plain values out."""

import math
import re
from dataclasses import dataclass
from typing import Any

from firmware import replies
from firmware.language.equipment import Detail, Group, Known, Lidar, Modules, Registers, Setting, Write
from firmware.language.words import placeholders

RANGES = {
    "BOOL": (0, 1), "INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "UINT16": (0, 65535),
    "INT32": (-(2**31), 2**31 - 1), "UINT32": (0, 2**32 - 1),
}  # fmt: skip
ADDRESS_AT_MOST = 60
MODULES_AT_MOST, REGISTERS_AT_MOST, POINTS_AT_MOST = 255, 4096, 4096


def modules(spec: Modules, reply: Any) -> dict[str, Any]:
    """`{"modules": [{"address", "values": {name: value}}]}`; a value that is missing is None."""
    found = []
    for entry in replies.entries(spec.entries, reply)[:MODULES_AT_MOST]:
        address = _address(spec.address, entry)
        if address:
            values = {name: _item(item, entry) for name, item in spec.fields.items()}
            found.append({"address": address, "values": values})
    return {"modules": found}


def _address(path: str, entry: Any) -> str:
    """An address as it may stand in a path and in a column; empty when it is none."""
    found = replies.find(path, entry)
    told = replies.word(found) if isinstance(found, str | int | float) else ""
    return told if told == replies.printable(told)[:ADDRESS_AT_MOST] else ""


def detail(spec: Detail, reply: Any) -> dict[str, Any]:
    """`{"values": {name: value}}`"""
    return {"values": {name: _item(item, reply) for name, item in spec.fields.items()}}


def _item(item: Any, entry: Any) -> Any:
    return replies.convert(item, replies.find(item.path, entry), item.scale, item.offset)


def registers(spec: Registers, reply: Any) -> dict[str, Any]:
    """`{"registers": [{"address", "name", "type", "writable", "minimum", "maximum", "unit", "raw"}]}`"""
    found = []
    for entry in replies.entries(spec.entries, reply)[:REGISTERS_AT_MOST]:
        address = _address(spec.address, entry)
        if not address:
            continue
        raw = _from_text(replies.find(spec.value, entry))
        kind = replies.find(spec.type, entry)
        low, high = RANGES.get(str(kind).upper(), (None, None))
        found.append(
            {
                "address": address,
                "name": replies.printable(str(replies.find(spec.name, entry) or "")[:80]),
                "type": replies.printable(str(kind)[:20]) if kind is not None else None,
                "writable": replies.find(spec.writable, entry) is True,
                "minimum": _number(spec.minimum, entry, low),
                "maximum": _number(spec.maximum, entry, high),
                "unit": replies.printable(str(replies.find(spec.unit, entry) or "")[:20]) or None
                if spec.unit
                else None,
                "raw": int(raw) if isinstance(raw, bool) else raw if _is_number(raw) else None,
            }
        )
    return {"registers": found}


@dataclass(frozen=True)
class Facts:
    """What is known of a register: what the robot says of it, and over that what the maker's document says. Limits are raw."""

    title: str
    unit: str | None
    scale: float
    writable: bool
    minimum: float | None
    maximum: float | None
    choices: list[int]


def facts(row: dict[str, Any], known: Known | None) -> Facts:
    """`row` is one of `registers`."""
    known = known or Known()
    return Facts(
        title=known.title or row["name"],
        unit=known.unit or row["unit"],
        scale=known.scale,
        writable=row["writable"] if known.writable is None else known.writable,
        minimum=row["minimum"] if known.minimum is None else known.minimum,
        maximum=row["maximum"] if known.maximum is None else known.maximum,
        choices=known.choices,
    )


def _number(path: str | None, entry: Any, otherwise: float | None) -> float | None:
    found = _from_text(replies.find(path, entry)) if path else None
    return found if _is_number(found) else otherwise


def scan(spec: Lidar, reply: Any) -> dict[str, Any]:
    """`{"points": [[angle_deg, distance_mm, strength]], "nearest_mm"}`; where there is no echo there is no point."""
    points = _points(spec, reply) if spec.points else []
    if not points and spec.distances:
        points = _distances(spec, reply)
    echoes = [point for point in points if 0 < point[1] <= spec.maximum_mm]
    return {"points": echoes[:POINTS_AT_MOST], "nearest_mm": min((point[1] for point in echoes), default=None)}


def _points(spec: Lidar, reply: Any) -> list[list[Any]]:
    found = []
    for entry in replies.entries(spec.points or "", reply):
        angle, distance = replies.find(spec.angle, entry), replies.find(spec.distance, entry)
        if _is_number(angle) and _is_number(distance):
            strength = replies.find(spec.strength, entry)
            found.append(
                [round(float(angle), 2), round(distance * spec.scale, 1), strength if _is_number(strength) else None]
            )
    return found


def _distances(spec: Lidar, reply: Any) -> list[list[Any]]:
    found = replies.find(spec.distances or "", reply)
    first, step = _told(spec.first_deg, reply), _told(spec.step_deg, reply)
    if not isinstance(found, list) or first is None or step is None:
        return []
    return [
        [round(first + step * index, 2), round(distance * spec.scale, 1), None]
        for index, distance in enumerate(found)
        if _is_number(distance)
    ]


def _told(number_or_path: Any, reply: Any) -> float | None:
    found = replies.find(number_or_path, reply) if isinstance(number_or_path, str) else number_or_path
    return float(found) if _is_number(found) else None


def _is_number(value: Any) -> bool:
    """A number that fits a float; JSON knows integers of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _from_text(raw: Any) -> Any:
    """A number that a robot wrote as text."""
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?\d{1,30}(\.\d+)?([eE][+-]?\d{1,2})?\s*", raw):
        return int(raw) if re.fullmatch(r"\s*[+-]?\d+\s*", raw) else float(raw)
    return raw


def settings(spec: Group, reply: Any) -> dict[str, Any]:
    """`{"values": {name: value}}`, as people give them; what is missing is None.

    What cannot be read as the setting's type stays as the robot says it: nobody asked for that, so it shows as drift.
    """
    values = {}
    for name, setting in spec.settings.items():
        found = _as_given(setting, replies.find(setting.path, reply))
        if isinstance(found, str):
            found = replies.printable(found[:200])
        values[name] = found if isinstance(found, str | bool) or _is_number(found) else None
    return {"values": values}


def _as_given(setting: Setting, raw: Any) -> Any:
    """What the robot reports, turned back into what somebody would have asked for."""
    if raw is None or isinstance(raw, dict | list):
        return None
    if setting.sent:
        raw = {replies.word(sent): choice for choice, sent in setting.sent.items()}.get(replies.word(raw), raw)
    if setting.type == "flag":
        return {"true": True, "1": True, "false": False, "0": False}.get(replies.word(raw).lower(), raw)
    if setting.type == "text":
        return replies.word(raw)
    number = _from_text(raw)
    if not _is_number(number):
        return raw
    given = round(number / setting.scale, 9)
    return int(given) if float(given).is_integer() else given


def same(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    """Whether two values of a setting are the same, as far as the robot keeps them; what is no value is the same as nothing."""
    if one is None or other is None or isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other) or (
        _is_number(one) and _is_number(other) and math.isclose(one, other, rel_tol=1e-6, abs_tol=max(1e-9, tolerance))
    )


def one_by_one(write: Write) -> bool:
    """Whether settings are sent one in a request."""
    return "key" in set(placeholders([write.path, write.body]))
