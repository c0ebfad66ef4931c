"""The report of configuration drift: what somebody wants the robots' settings to be, and what they last reported."""

from collections import defaultdict
from typing import Any

from django.db.models import QuerySet

from accounts.journal import iso
from accounts.reports import Asked, Parts, Report
from accounts.reports.rows import journal_page, listing, names, within
from accounts.reports.shapes import TIME, chart, column, figure, table
from firmware import equipment_shapes, profile
from firmware.language.kind import Profile
from firmware.models import DesiredSetting, Equipment, Robot

CHANGED = "setting.desired"
STATES = ("as wanted", "drifted", "never read")


def robots() -> QuerySet[Robot]:
    """Those in service, with what rights on them are granted through: three queries."""
    return Robot.objects.filter(retired_at=None).select_related("site").prefetch_related("groups")


def make(asked: Asked) -> Parts:
    """Nothing is asked of a robot for this: what it last told stands in the database."""
    shown = [robot for robot in robots() if asked.robot in ("", robot.slug)]
    lines = _lines(shown, asked)
    counted = {state: sum(line[-1] == state for line in lines) for state in STATES}
    drifting = {line[0] for line in lines if line[-1] == "drifted"}
    columns = [column("robot"), column("setting"), column("wanted"), column("reported"), column("unit")]
    columns += [
        column("by", "Wanted by"),
        column("since", "Since", TIME),
        column("reason"),
        column("read", "Read", TIME),
    ]
    lines.sort(key=lambda line: (line[-1] != "drifted", line[0], line[1]))
    links = [journal_page(verb=CHANGED, robot=line[0]) for line in lines]
    settings = table("settings", "Settings that somebody set", [*columns, column("state")], lines, links=links)
    each = [(robot.slug, sum(line[0] == robot.slug and line[-1] == "drifted" for line in lines)) for robot in shown]
    what = (column("setting", "Before → after"), _change)
    return {
        "figures": [
            figure("robots", len(shown), "Robots in service"),
            figure("drifting", len(drifting), "Of these with a setting that reads otherwise than was wanted"),
            figure("drifted", counted["drifted"], "Settings that drifted", if_any="warning"),
            figure("as_wanted", counted["as wanted"], "Settings that read as was wanted"),
            figure("never_read", counted["never read"], "Settings that were not read yet: nobody knows"),
        ],
        "tables": [settings, listing("changes", "Set in the period", within(asked, CHANGED), names(), [what])],
        "charts": [chart("robots", "Drifted settings of each robot", "settings", "bars", {"settings": list(each)})],
    }


def _change(row: Any) -> str:
    return f"{row.data.get('setting')}: {row.data.get('before')} → {row.data.get('after')}"


def _lines(shown: list[Robot], asked: Asked) -> list[tuple[Any, ...]]:
    """A line for each setting that somebody set: two queries, however many robots."""
    wanted: dict[int, list[DesiredSetting]] = defaultdict(list)
    for one in DesiredSetting.objects.filter(robot__in=shown).order_by("group", "name"):
        wanted[one.robot_id].append(one)
    parts = Equipment.objects.filter(robot__in=wanted, part__startswith="config:")
    reported = {(row.robot_id, row.part.removeprefix("config:")): row for row in parts}
    lines = []
    for robot in shown:
        spec = profile.load_or_unusable(robot.profile)
        for want in wanted[robot.pk]:
            if asked.person is None or want.by == asked.person.username:
                lines.append(_line(robot, spec, want, reported.get((robot.pk, want.group))))
    return lines


def _line(robot: Robot, spec: Profile, want: DesiredSetting, row: Equipment | None) -> tuple[Any, ...]:
    group = spec.config.get(want.group)
    setting = group.settings.get(want.name) if group else None
    value = row.document.get("values", {}).get(want.name) if row else None
    state = "never read"
    if value is not None:
        same = equipment_shapes.same(value, want.value, setting.tolerance if setting else 0.0)
        state = "as wanted" if same else "drifted"
    unit = setting.unit if setting and setting.unit else ""
    read = iso(row.observed_at) if row else None
    return (
        robot.slug,
        f"{want.group}.{want.name}",
        want.value,
        value,
        unit,
        want.by,
        iso(want.at),
        want.reason,
        read,
        state,
    )


REPORT = Report(
    "Configuration drift",
    "What somebody wants the settings of each robot to be, and what the robot last reported.",
    make,
)
