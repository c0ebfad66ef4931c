"""Modules, registers, scans and settings: read when somebody looks, kept as they were last told, shown with their age.

A part is not asked for again before its profile's `fresh_s` is over, however many look; one look at a time asks the robot.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.journal import iso
from firmware import equipment_shapes, link, profile, state
from firmware.client import RobotClient
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.equipment_shapes import Facts
from firmware.errors import BadProfile, FirmwareError
from firmware.language.equipment import Fetch
from firmware.language.kind import Profile
from firmware.models import Equipment, Robot
from robotctl.problems import Problem

Shape = Callable[[Profile, Any], dict[str, Any]]


def modules(robot: Robot) -> Equipment:
    """The robot's modules. Raises Problem 404."""
    spec = _offered(profile.load_or_unusable(robot.profile).modules, "modules")
    return _see(robot, "modules", lambda kind: kind.modules, spec.fresh_s, {}, _list)


def details(robot: Robot, module: str) -> dict[str, Equipment]:
    """What more the robot tells of one module, by name."""
    spec = profile.load_or_unusable(robot.profile).modules
    found = {}
    for name, detail in spec.details.items() if spec else ():
        if not detail.only or module in detail.only:
            shape = partial(_detail, name)
            found[name] = _see(
                robot,
                f"module:{module}:{name}",
                partial(_detail_fetch, name),
                detail.fresh_s,
                {"module": module},
                shape,
            )
    return found


def registers(robot: Robot, module: str, *, now: bool = False) -> Equipment:
    """The register table of one module; `now`: whatever its age. Raises Problem 404."""
    spec = _offered(profile.load_or_unusable(robot.profile).registers, "registers")
    return _see(
        robot, f"registers:{module}", lambda kind: kind.registers, spec.fresh_s, {"module": module}, _table, now=now
    )


def scan(robot: Robot) -> Equipment:
    """The last LiDAR scan. Raises Problem 404."""
    spec = _offered(profile.load_or_unusable(robot.profile).lidar, "LiDAR")
    return _see(robot, "lidar", lambda kind: kind.lidar, spec.fresh_s, {}, _scan)


def settings(robot: Robot, *, now: bool = False) -> dict[str, Equipment]:
    """Each group of settings as reported. Raises Problem 404."""
    groups = _offered(profile.load_or_unusable(robot.profile).config, "configuration")
    found = {}
    for name, group in groups.items():
        found[name] = _see(
            robot, f"config:{name}", partial(_group_fetch, name), group.fresh_s, {}, partial(_group, name), now=now
        )
    return found


def _list(spec: Profile, reply: Any) -> dict[str, Any]:
    return equipment_shapes.modules(spec.modules, reply) if spec.modules else {}


def _table(spec: Profile, reply: Any) -> dict[str, Any]:
    return equipment_shapes.registers(spec.registers, reply) if spec.registers else {}


def _scan(spec: Profile, reply: Any) -> dict[str, Any]:
    return equipment_shapes.scan(spec.lidar, reply) if spec.lidar else {}


def _detail(name: str, spec: Profile, reply: Any) -> dict[str, Any]:
    return equipment_shapes.detail(spec.modules.details[name], reply) if spec.modules else {}


def _detail_fetch(name: str, spec: Profile) -> Fetch | None:
    return spec.modules.details.get(name) if spec.modules else None


def _group_fetch(name: str, spec: Profile) -> Fetch | None:
    return spec.config.get(name)


def _group(name: str, spec: Profile, reply: Any) -> dict[str, Any]:
    return equipment_shapes.settings(spec.config[name], reply)


def _offered(spec: Any, what: str) -> Any:
    if not spec:
        raise Problem(404, "not_offered", f"This kind of robot offers no {what}.")
    return spec


def _see(
    robot: Robot,
    part: str,
    pick: Callable[[Profile], Fetch | None],
    fresh_s: float,
    params: dict[str, str],
    shape: Shape,
    *,
    now: bool = False,
) -> Equipment:
    """The part as last told, asked for now if that is due and nobody else is asking. `pick` finds what to ask in the
    profile as it is bound to this robot."""
    at = timezone.now()
    row, _ = Equipment.objects.get_or_create(robot=robot, part=part)
    if robot.state.breaker.state(at) != "closed":
        row.error, row.error_code = link.words(robot.state.breaker)[:300], "circuit_open"
        return row
    due = Q(asked_at=None) | Q(asked_at__lt=at - timedelta(seconds=0 if now else fresh_s))
    mine = Equipment.objects.filter(due, pk=row.pk).update(asked_at=at) == 1
    if not mine or not robot.enabled:
        return row
    changes: dict[str, Any] = {"error": "", "error_code": ""}
    try:
        changes |= _asked(client_for(robot), pick, params, shape)
    except FirmwareError as error:
        changes = {"error": str(error)[:300], "error_code": error.code}
    except (BadProfile, Unreadable) as error:
        changes = {"error": str(error)[:300], "error_code": "bad_profile"}
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=list(changes))
    return row


def _asked(
    client: RobotClient, pick: Callable[[Profile], Fetch | None], params: dict[str, str], shape: Shape
) -> dict[str, Any]:
    fetch = pick(client.profile)
    found = client.fetch(fetch, params) if fetch else None
    if found is None:
        return {"document": {}, "observed_at": timezone.now()}
    reply, taken_at = found
    return {
        "document": _masked(shape(client.profile, reply), client.words),
        "observed_at": datetime.fromtimestamp(taken_at, UTC),
    }


def _masked(part: Any, words: Callable[[str], str]) -> Any:
    """A document whose texts repeat no credential."""
    if isinstance(part, dict):
        return {key: _masked(value, words) for key, value in part.items()}
    if isinstance(part, list):
        return [_masked(value, words) for value in part]
    return words(part) if isinstance(part, str) else part


def forget_pace(robot: Robot, part: str) -> None:
    """What was just changed is asked for again when somebody looks."""
    Equipment.objects.filter(robot=robot, part=part).update(asked_at=None)


def about(row: Equipment) -> dict[str, Any]:
    """`{"observed_at","error"}`: how old a part is, and why it is no newer."""
    return {
        "observed_at": iso(row.observed_at),
        "error": {"code": row.error_code, "detail": row.error} if row.error else None,
    }


def reading(row: Equipment, value: Any, unit: str | None, life_s: float, at: datetime) -> dict[str, Any]:
    """A reading, as in the state document: `{"value","unit","observed_at","age_s","quality"}`."""
    return state.reading_shape(value, unit, row.observed_at, life_s, at)


def check_write(robot: Robot, module: str, register: str, value: Any) -> float:
    """The raw value to be written for `value`, given in the unit that is shown. Raises Problem 400, 404, 409, 503.

    What may be written comes from the robot's own table and from the profile; without a table nothing is written.
    """
    spec = _offered(profile.load_or_unusable(robot.profile).registers, "registers")
    table = registers(robot, module)
    rows = {row["address"]: row for row in table.document.get("registers", [])}
    if not rows:
        if not table.error:
            raise Problem(404, "not_found", f"The robot lists no registers of module {module}.")
        raise Problem(503, "unreadable", f"The register table of module {module} cannot be read. {table.error}")
    if register not in rows:
        raise Problem(404, "not_found", f"Module {module} has no register {register}.")
    row, known = rows[register], spec.known.get(module, {}).get(register)
    facts = equipment_shapes.facts(row, known)
    if not facts.writable or spec.write is None:
        raise Problem(409, "read_only", f"Register {register} of module {module} is read-only.")
    raw, problem = _raw(value, facts, whole=not str(row["type"]).upper().startswith("FLOAT"))
    if problem:
        raise Problem(400, "invalid", f"value: {problem}", errors={"value": [problem]})
    return raw


def _raw(value: Any, facts: Facts, *, whole: bool) -> tuple[float, str]:
    """(raw value, what is wrong with it)"""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        return 0, "Must be a number."
    unit, scale = f" {facts.unit}" if facts.unit else "", facts.scale
    raw = round(value / scale, 6)
    if whole and raw != int(raw):
        steps = "Must be a whole number" if scale == 1 else f"Must be a whole number of steps of {scale:g}{unit}"
        return 0, f"{steps}."
    raw = int(raw) if whole else raw
    low, high = facts.minimum, facts.maximum
    if (low is not None and raw < low) or (high is not None and raw > high):
        bounds = " to ".join(f"{bound * scale:g}" if bound is not None else "any" for bound in (low, high))
        return 0, f"Must be from {bounds}{unit}; {value:g} is not."
    if facts.choices and raw not in facts.choices:
        return 0, f"Must be one of {', '.join(f'{choice * scale:g}' for choice in facts.choices)}{unit}."
    return raw, ""
