"""What the robot is made of, where the profile says how to look. Registers and settings are only read."""

from typing import Any

import pytest

from firmware import equipment_shapes, parameters
from firmware.errors import Rejected
from firmware.language.actions import Param
from firmware.language.equipment import Setting
from firmware.tests.contract.report import NOT_TOLD, NOTED, SEEN
from firmware.tests.contract.subject import Subject

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_part_is_told(part: str, subject: Subject, saw: Any) -> None:
    """{part}"""
    what, _, name = part.partition(" ")
    look = {"modules": _modules, "module": _detail, "registers": _registers, "lidar": _scan, "config": _group}[what]
    try:
        evidence, told = look(subject, name)
    except Rejected as refused:
        assert str(refused).strip(), "it refuses without a word"
        saw(f"refused: {str(refused)!r}", verdict=NOT_TOLD)
    else:
        saw(evidence, verdict=SEEN if told else NOTED)


def addresses(subject: Subject) -> list[str]:
    spec = subject.spec.modules
    if spec is None:
        return []
    found = subject.client.fetch(spec)
    return [one["address"] for one in equipment_shapes.modules(spec, found[0])["modules"]] if found else []


def _modules(subject: Subject, _: str) -> tuple[str, bool]:
    found = addresses(subject)
    return (f"{len(found)}: {', '.join(found)}", True) if found else ("it lists none", False)


def _detail(subject: Subject, name: str) -> tuple[str, bool]:
    assert subject.spec.modules is not None
    detail, words = subject.spec.modules.details[name], []
    for address in addresses(subject):
        if detail.only and address not in detail.only:
            continue
        found = subject.client.fetch(detail, {"module": address})
        values = equipment_shapes.detail(detail, found[0])["values"] if found else {}
        told = [key for key, value in values.items() if value is not None]
        words.append(f"{address}: {', '.join(told) or 'nothing'}")
    return "; ".join(words) or "no module that it is for", any(not word.endswith("nothing") for word in words)


def _registers(subject: Subject, _: str) -> tuple[str, bool]:
    spec, words = subject.spec.registers, []
    assert spec is not None
    for address in addresses(subject):
        found = subject.client.fetch(spec, {"module": address})
        rows = equipment_shapes.registers(spec, found[0])["registers"] if found else []
        assert len({row["address"] for row in rows}) == len(rows), f"module {address} lists an address twice"
        valued, writable = sum(row["raw"] is not None for row in rows), sum(row["writable"] for row in rows)
        words.append(f"{address}: {len(rows)}, {valued} with a value, {writable} writable")
    return "; ".join(words) or "no module", bool(words)


def _scan(subject: Subject, _: str) -> tuple[str, bool]:
    assert subject.spec.lidar is not None
    found = subject.client.fetch(subject.spec.lidar)
    if found is None:
        return "this robot has none", False
    scan = equipment_shapes.scan(subject.spec.lidar, found[0])
    nearest = f", the nearest {scan['nearest_mm']:g} mm away" if scan["nearest_mm"] is not None else ""
    return f"{len(scan['points'])} echoes{nearest}", bool(scan["points"])


def _group(subject: Subject, name: str) -> tuple[str, bool]:
    group = subject.spec.config[name]
    found = subject.client.fetch(group)
    if found is None:
        return "this robot has none", False
    values = equipment_shapes.settings(group, found[0])["values"]
    told = [f"{key} = {value}" for key, value in values.items() if value is not None]
    missing = [key for key, value in values.items() if value is None]
    strange = [key for key, value in values.items() if value is not None and not _is_typed(group.settings[key], value)]
    assert not strange, (
        f"not of the type that the profile says: {', '.join(f'{key} = {values[key]!r}' for key in strange)}"
    )
    return ", ".join(told) + (f"; not told: {', '.join(missing)}" if missing else ""), bool(told)


def _is_typed(setting: Setting, value: Any) -> bool:
    """Whether it could be asked for as it reads. What is out of range or none of the choices may still be told."""
    return parameters.typed(Param(type=setting.type), value)[0] is None
