"""Operations: what was asked of the robots, by whom, in which shift, what came of it, and how long it took."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Case, CharField, Count, IntegerField, Q, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, ExtractHour, ExtractMinute

from accounts.reports import Asked, Parts
from accounts.reports.rows import Rows, Spread, by_day, journal_page, names, spread, within
from accounts.reports.shapes import chart, column, figure, table

ASKED = ("command.accepted", "command.awaiting_approval")
ENDS = {
    "command.confirmed": "confirmed by the robot's state",
    "command.acknowledged": "answered; nothing could confirm it",
    "command.rejected": "refused by the robot",
    "command.failed": "failed or not obeyed",
    "command.expired": "expired unsent",
    "command.cancelled": "cancelled unsent",
    "command.outcome_unknown": "outcome unknown",
}
REFUSED, DONE = "command.refused", "command.done"
COLUMNS = ("asked", "confirmed", "not confirmed", "unknown", "refused")


class Cube(NamedTuple):
    """How many rows there are of one kind."""

    verb: str
    robot: str
    name: str | None
    person: int | None
    shift: str
    many: int


def make(asked: Asked) -> Parts:
    steps = [*ASKED, *(verb for verb in ENDS if verb != "command.acknowledged"), REFUSED]
    rows = _ended(within(asked, *steps, "command.acknowledged"))
    cube, who = _cube(rows), names()
    took = spread(within(asked, "command.confirmed"), "data__took_s", by=KT("data__name"))
    took |= spread(within(asked, "command.confirmed"), "data__took_s")
    done = spread(within(asked, DONE), "data__took_s")
    return {
        "figures": _figures(cube, took.get("", Spread()), done.get("", Spread())),
        "tables": [
            _by_outcome(cube, asked),
            _by(
                cube,
                asked,
                "robot",
                "By robot",
                lambda one: one.robot,
                lambda robot: {"robot": robot, "verb": "command.*"},
            ),
            _by(
                cube,
                asked,
                "person",
                "By person",
                lambda one: who(one.person),
                lambda name: {"person": name, "verb": "command.*"},
            ),
            _by(cube, asked, "shift", "By shift (UTC)", lambda one: one.shift, order=shifts()),
            _by(cube, asked, "command", "By command", lambda one: one.name or ""),
            _durations(took, done.get("", Spread())),
            _refusals(asked),
        ],
        "charts": _charts(cube, asked),
    }


def _ended(rows: Rows) -> Rows:
    """Of the answers only those that were the end: where nothing could confirm the command."""
    return rows.filter(~Q(verb="command.acknowledged") | Q(data__code="not_observable"))


def shifts() -> list[str]:
    """The shifts of a day: ["06:00–14:00", …]."""
    starts = settings.ENV.shifts
    ends = [*starts[1:], starts[0]]
    return [f"{_clock(start)}–{_clock(end)}" for start, end in zip(starts, ends, strict=True)]


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _shift() -> Case:
    """In the database: the shift of a row. Before the first start it is still the last one, of the day before."""
    named = list(zip(settings.ENV.shifts, shifts(), strict=True))
    whens = [When(minute__gte=start, then=Value(name)) for start, name in reversed(named)]
    return Case(*whens, default=Value(named[-1][1]), output_field=CharField())


def _cube(rows: Rows) -> list[Cube]:
    """All that is counted, in one query. Who asked stands in the row of each step; of a refusal it is who acted."""
    person = Coalesce(Cast(KT("data__by__person"), IntegerField()), Cast("actor_id", IntegerField()))
    found = (
        rows.annotate(minute=ExtractHour("at") * 60 + ExtractMinute("at"))
        .annotate(shift=_shift(), name=KT("data__name"), who=person)
        .values_list("verb", "robot", "name", "who", "shift")
        .annotate(many=Count("pk"))
    )
    return [Cube(*one) for one in found]


def _is(verb: str) -> str:
    """In which column of the tables a row counts."""
    if verb in ASKED:
        return "asked"
    if verb == REFUSED:
        return "refused"
    return {"command.confirmed": "confirmed", "command.outcome_unknown": "unknown"}.get(verb, "not confirmed")


def _sum(cube: Iterable[Cube], kind: str) -> int:
    return sum(one.many for one in cube if _is(one.verb) == kind)


def _figures(cube: list[Cube], took: Spread, done: Spread) -> list[dict[str, Any]]:
    return [
        figure("asked", _sum(cube, "asked"), "Commands accepted, or waiting for a second person"),
        figure("confirmed", _sum(cube, "confirmed"), "Confirmed: the robot's own state showed that it obeys"),
        figure(
            "not_confirmed",
            _sum(cube, "not confirmed"),
            "Ended otherwise: answered only, refused, failed, expired, cancelled",
        ),
        figure("unknown", _sum(cube, "unknown"), "Ended with an unknown outcome"),
        figure(
            "refused",
            _sum(cube, "refused"),
            "Refused before they were commands (for missing rights: see the report on security)",
        ),
        figure("confirmed_p50", took.half, "Half were confirmed within this time of being accepted", "s"),
        figure("confirmed_p95", took.most, "95 in 100 were confirmed within this time", "s"),
        figure("done_p50", done.half, "Half of those that arrived did so within this time", "s"),
        figure("done_p95", done.most, "95 in 100 of those that arrived did so within this time", "s"),
    ]


def _by_outcome(cube: list[Cube], asked: Asked) -> dict[str, Any]:
    found = Counter[str]()
    for one in cube:
        found[one.verb] += one.many
    rows = [(verb.removeprefix("command."), words, found[verb]) for verb, words in ENDS.items()]
    links = [journal_page(asked, verb=verb) for verb in ENDS]
    columns = [column("outcome"), column("words", "Meaning"), column("count", "Commands")]
    return table("by_outcome", "Ended as", columns, rows, links=links)


def _by(
    cube: list[Cube],
    asked: Asked,
    name: str,
    title: str,
    key: Callable[[Cube], str],
    where: Callable[[str], dict[str, str]] = lambda _: {"verb": "command.*"},
    order: Iterable[str] = (),
) -> dict[str, Any]:
    found: dict[str, Counter[str]] = {one: Counter() for one in order}
    for one in cube:
        found.setdefault(key(one), Counter())[_is(one.verb)] += one.many
    keys = list(order) or sorted(found)
    rows = [(one, *(found[one][kind] for kind in COLUMNS)) for one in keys]
    columns = [column(name), *(column(kind.replace(" ", "_"), kind.capitalize()) for kind in COLUMNS)]
    links = [journal_page(asked, **where(one)) for one in keys]
    return table(f"by_{name}", title, columns, rows, links=links)


def _durations(took: dict[Any, Spread], done: Spread) -> dict[str, Any]:
    columns = [column("command"), column("until"), column("count", "Commands")]
    columns += [column("p50", "p50", "s"), column("p95", "p95", "s"), column("longest", "Longest", "s")]
    rows = [(name or "all", "confirmed", *took[name]) for name in sorted(took)]
    rows += [("all", "arrived", *done)] if done.of else []
    return table("durations", "How long it took from being accepted", columns, rows)


def _refusals(asked: Asked) -> dict[str, Any]:
    found = within(asked, REFUSED).values_list(KT("data__code"), KT("data__name")).annotate(many=Count("pk"))
    rows = sorted(found, key=lambda row: (-row[2], str(row[0]), str(row[1])))
    columns = [column("code", "Refused with"), column("command"), column("count", "Commands")]
    links = [journal_page(asked, verb=REFUSED) for _ in rows]
    return table("refused", "Refused by robotctl", columns, rows, links=links)


def _charts(cube: list[Cube], asked: Asked) -> list[dict[str, Any]]:
    per_shift = [(shift, _sum([one for one in cube if one.shift == shift], "asked")) for shift in shifts()]
    ended = Counter[str]()
    for one in cube:
        ended[one.verb] += one.many
    outcomes: list[tuple[str, float]] = [(words, ended[verb]) for verb, words in ENDS.items()]
    days = {
        "asked for": by_day(within(asked, *ASKED), asked),
        "confirmed": by_day(within(asked, "command.confirmed"), asked),
    }
    return [
        chart("outcomes", "How commands ended", "commands", "bars", {"commands": outcomes}),
        chart("shifts", "Asked for in each shift (UTC)", "commands", "bars", {"commands": list(per_shift)}),
        chart("days", "Each day (UTC)", "commands", "line", {name: list(points) for name, points in days.items()}),
    ]
