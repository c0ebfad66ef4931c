"""Interventions: stops, resets, broken control, overrides, and what became of outcomes that nobody knew."""

from typing import Any

from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.fields.json import KT

from accounts.models import JournalEntry
from accounts.reports import Asked, Parts
from accounts.reports.rows import Cell, Rows, Spread, by_day, listing, names, spread, within
from accounts.reports.shapes import LONGEST, chart, column, figure

REQUESTED, CONFIRMED, LIFTED = "stop.requested", "stop.confirmed", "reset.confirmed"
RESETS = tuple(f"reset.{what}" for what in ("confirmed", "rejected", "failed", "outcome_unknown"))
NOT_BEGUN = "reset.refused"
OVERRIDES = (
    "robot.maintenance",
    "robot.recovering",
    "command.resolved",
    "command.approved",
    "breaker.reset",
    "journal.maintenance",
)
BROKEN, UNKNOWN = "lease.broken", "command.outcome_unknown"
NOT_OURS = Q(verb="robot.state_changed") & ~Q(outcome="ok")
WAYS = {CONFIRMED: "confirmed", LIFTED: "reset before it was confirmed", None: "never confirmed"}


def make(asked: Asked) -> Parts:
    who, took = names(), spread(within(asked, CONFIRMED), "data__took_s").get("", Spread())
    ways, late = _ways(asked)
    resets = listing("resets", "Resets of a stop", within(asked, *RESETS), who, [_DETAIL])
    refused = listing("resets_refused", "Resets that were refused", within(asked, NOT_BEGUN), who, [_DETAIL])
    leases = listing("leases", "Control taken from somebody", within(asked, BROKEN), who, [_holder(who)])
    overrides = listing("overrides", "Overrides", _overrides(asked), who, [_TARGET, _NOTE])
    unknown = _unknown(asked, who)
    hardware = listing(
        "hardware_stops",
        "Stopped otherwise than by robotctl, or left a stop",
        within(asked, "robot.state_changed", "stop.left").filter(NOT_OURS | Q(verb="stop.left")),
        who,
        [(column("state", "Robot's state"), _state)],
    )
    tables = [_stops(asked, who), resets, refused, leases, overrides, unknown, hardware]
    return {
        "figures": _figures(ways, late, took, {table["name"]: table["total"] for table in tables}),
        "tables": tables,
        "charts": [
            chart(
                "stops", "What became of stops", "stops", "bars", {"stops": [(one, ways[one]) for one in WAYS.values()]}
            ),
            chart(
                "days",
                "Stops each day (UTC)",
                "stops",
                "line",
                {"stops": list(by_day(within(asked, REQUESTED), asked))},
            ),
        ],
    }


def _figures(ways: dict[str, int], late: int, took: Spread, many: dict[str, int]) -> list[dict[str, Any]]:
    """`many`: by the name of a table, how many rows there are of it."""
    return [
        figure("stops", sum(ways.values()), "Stops asked for; STOP ALL counts once for each robot"),
        figure("confirmed", ways["confirmed"], "Read as stopped afterwards"),
        figure(
            "never_confirmed",
            ways["never confirmed"] + ways[WAYS[LIFTED]],
            "Not read as stopped: look at each",
            if_any="warning",
        ),
        figure("late", late, "Recorded late: the database was away when they were pressed", if_any="warning"),
        figure("confirmed_p50", took.half, "Half of the stops were confirmed within", "s"),
        figure("confirmed_p95", took.most, "95 in 100 were confirmed within", "s"),
        figure("confirmed_longest", took.longest, "The longest took", "s"),
        figure("resets", many["resets"], "Resets that ended, one way or the other"),
        figure("resets_refused", many["resets_refused"], "Resets that were refused, and did nothing"),
        figure("broken_leases", many["leases"], "Control taken from somebody"),
        figure("overrides", many["overrides"], "Overrides: maintenance, approvals, outcomes resolved by a person"),
        figure("unknown_outcomes", many["unknown_outcomes"], "Commands with an unknown outcome", if_any="warning"),
        figure(
            "hardware_stops",
            many["hardware_stops"],
            "Robots that went out of action without a stop of ours, or left one",
            if_any="warning",
        ),
    ]


def _requested(asked: Asked) -> Any:
    """Stops, each with the first row after it that says what became of it: `then`, and its data as `told`."""
    after = JournalEntry.objects.filter(
        verb__in=(CONFIRMED, LIFTED), robot=OuterRef("robot"), at__gte=OuterRef("at")
    ).order_by("at", "pk")
    return within(asked, REQUESTED).annotate(
        then=Subquery(after.values("verb")[:1]), told=Subquery(after.values("data")[:1])
    )


def _ways(asked: Asked) -> tuple[dict[str, int], int]:
    """What became of the stops → how many; and how many were recorded late."""
    ways = dict.fromkeys(WAYS.values(), 0)
    late = 0
    counted = _requested(asked).values_list("then").annotate(many=Count("pk"), late=Count("pk", filter=Q(late=True)))
    for then, many, were_late in counted:
        ways[WAYS[then]] += many
        late += were_late
    return ways, late


def _stops(asked: Asked, who: Any) -> dict[str, Any]:
    cells: list[Cell] = [
        (column("became", "What became of it"), lambda row: WAYS[_then(row)]),
        (column("took_s", "Confirmed after", "s"), lambda row: _told(row).get("took_s")),
        (column("attempts"), lambda row: _told(row).get("attempts")),
        (column("late", "Recorded late"), lambda row: "yes" if row.late else ""),
    ]
    words = "The time is from the first press until the robot reads stopped. This is a software stop, no safety-rated function."
    return listing("stops", "Stops", _requested(asked), who, cells, words=words)


def _then(row: Any) -> str | None:
    verb: str | None = row.then
    return verb


def _told(row: Any) -> dict[str, Any]:
    """What the confirmation says; nothing, when there is none."""
    return row.told or {} if row.then == CONFIRMED else {}


def _overrides(asked: Asked) -> Rows:
    """A robot also recovers by itself; that is nobody's override."""
    return within(asked, *OVERRIDES).exclude(verb="robot.recovering", actor_id=None)


def _unknown(asked: Asked, who: Any) -> dict[str, Any]:
    """Unknown outcomes, and how each was resolved: by the robot's state, by a person, or not."""
    rows = within(asked, UNKNOWN).annotate(command=KT("data__command"))
    shown = [row.data.get("command") for row in rows.order_by("-at", "-pk")[:LONGEST]]
    later = JournalEntry.objects.filter(
        verb__in=("command.resolved", "command.confirmed"), at__gte=asked.begins, data__command__in=shown
    )
    ends = {row.data["command"]: row for row in later.order_by("at", "pk")}

    def resolved(row: JournalEntry) -> str:
        end = ends.get(row.data.get("command"))
        if end is None:
            return "not resolved"
        if end.verb == "command.confirmed":
            return f"by the robot's state at {end.at:%Y-%m-%d %H:%M:%S} UTC"
        return f"by {who(end.actor_id)} at {end.at:%Y-%m-%d %H:%M:%S} UTC: {end.data.get('note', '')}"

    cells: list[Cell] = [_TARGET, _CODE, (column("resolved"), resolved)]
    return listing("unknown_outcomes", "Unknown outcomes", rows, who, cells)


def _holder(who: Any) -> Cell:
    def holder(row: JournalEntry) -> str:
        held = row.data.get("holder")
        return who(held["person"]) if isinstance(held, dict) and "person" in held else str(held or "")

    return column("holder", "Taken from"), holder


def _state(row: JournalEntry) -> str:
    if row.verb == "stop.left":
        return f"left its stop, reads {row.data.get('machine_state')}"
    return f"{row.data.get('was')} → {row.data.get('now')}"


_DETAIL: Cell = (column("detail"), lambda row: row.data.get("detail") or row.data.get("code") or "")
_TARGET: Cell = (column("target", "Of what"), lambda row: row.target)
_NOTE: Cell = (column("note"), lambda row: row.data.get("note") or "")
_CODE: Cell = (column("code"), lambda row: row.data.get("code") or "")
