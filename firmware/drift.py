"""What somebody wants a robot's settings to be, what it reports, and where the two differ."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import journal
from accounts.journal import iso
from firmware import equipment, equipment_shapes, profile
from firmware.models import DesiredSetting, Equipment, Robot
from robotctl.problems import Problem


def by_group(robot: Robot, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`{"group.name": value}` as group → name → value. Raises Problem 400 for a setting that there is not, or not to set."""
    groups = profile.load_or_unusable(robot.profile).config
    known = {f"{group}.{name}": (group, name) for group, spec in groups.items() if spec.write for name in spec.settings}
    known = {key: (group, name) for key, (group, name) in known.items() if groups[group].settings[name].writable}
    unknown = {f"values.{key}": [f"Can be set: {', '.join(known) or 'none'}."] for key in values if key not in known}
    if unknown:
        raise Problem(400, "invalid", f"Unknown settings: {', '.join(unknown)}.", errors=unknown)
    found: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        group, name = known[key]
        found.setdefault(group, {})[name] = value
    return found


def desire(robot: Robot, group: str, values: dict[str, Any], *, by: str, reason: str) -> None:
    """Remember what was asked for: it stands until something else is."""
    now = timezone.now()
    with transaction.atomic():
        for name, value in values.items():
            before = DesiredSetting.objects.filter(robot=robot, group=group, name=name).first()
            DesiredSetting.objects.update_or_create(
                robot=robot,
                group=group,
                name=name,
                defaults={"value": value, "by": by, "at": now, "reason": reason},
            )
            data = {"setting": f"{group}.{name}", "before": before.value if before else None, "after": value}
            journal.record("setting.desired", robot.slug, robot=robot.slug, reason=reason, data=data)


def document(robot: Robot, reported: dict[str, Equipment]) -> dict[str, Any]:
    """`{"robot","groups":{group:{"observed_at","error"}},"reported":{"group.name":reading},"desired":{…},"drift":[…]}`.

    Drift is told only of what is known: a setting that was never read has not drifted.
    """
    groups, now = profile.load_or_unusable(robot.profile).config, timezone.now()
    desired = {f"{one.group}.{one.name}": one for one in DesiredSetting.objects.filter(robot=robot)}
    readings, settings, drifted = {}, {}, []
    for group, row in reported.items():
        spec = groups[group]
        for name, setting in spec.settings.items():
            key, value = f"{group}.{name}", row.document.get("values", {}).get(name)
            readings[key] = equipment.reading(row, value, setting.unit, 2 * spec.fresh_s + 1, now)
            shown = {field: getattr(setting, field) for field in ("type", "unit", "minimum", "maximum", "choices")}
            settings[key] = {"title": setting.title or name, **shown, "writable": bool(setting.writable and spec.write)}
            want = desired.get(key)
            if (
                want is not None
                and value is not None
                and not equipment_shapes.same(value, want.value, setting.tolerance)
            ):
                drifted.append(
                    {"setting": key, "desired": want.value, "reported": value, "observed_at": iso(row.observed_at)}
                )
    return {
        "robot": robot.slug,
        "groups": {group: equipment.about(row) for group, row in reported.items()},
        "settings": settings,
        "reported": readings,
        "desired": {
            key: {"value": one.value, "by": one.by, "at": iso(one.at), "reason": one.reason}
            for key, one in desired.items()
        },
        "drift": drifted,
    }
