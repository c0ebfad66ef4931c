"""Security: who could not get in, who was refused what, and who was given more."""

from typing import Any

from django.db.models import Sum

from accounts.models import JournalEntry, JournalOrigin
from accounts.reports import Asked, Parts
from accounts.reports.rows import COUNT, Cell, Rows, by_day, counts, journal_page, listing, names, within
from accounts.reports.shapes import chart, column, figure, table

FAILED, LOCKED = "auth.sign_in_failed", "auth.locked_out"
ACCESS = {
    "access.denied": "asked for what their rights do not include",
    "access.hidden": "asked for what they may not see",
    "access.unauthenticated": "without being signed in",
    "access.throttled": "too many requests",
    "access.too_large": "a body that was too large",
}
ORDERS = {
    "command.refused": "a command, with the reason as its code",
    "lease.refused": "control of a robot",
    "reset.refused": "a reset",
}
PRIVILEGES = (
    *(f"role.{what}" for what in ("created", "changed", "deleted")),
    *(f"grant.{what}" for what in ("created", "changed", "deleted", "ended")),
    *(
        f"group.{what}"
        for what in ("created", "changed", "deleted", "members_added", "members_removed", "members_changed")
    ),
    *(f"user.{what}" for what in ("created", "changed", "deleted", "registered", "forgotten", "groups_changed")),
    *(f"robotgroup.{what}" for what in ("created", "changed", "deleted")),
    "robot.credentials_changed",
    *(f"auth.factor_{what}" for what in ("set_up", "removed")),
    *(f"auth.token_{what}" for what in ("issued", "revoked")),
    *(f"auth.{what}" for what in ("password_set", "password_changed", "link_issued", "unlocked", "recovery_code_used")),
)
MOST_ADDRESSES = 20
NOISE = {"id", "content_type", "object_id", "created_at", "date_joined", "password_changed_at", "asks_factor"}


def make(asked: Asked) -> Parts:
    found, who = counts(within(asked, FAILED, LOCKED, *ACCESS, *ORDERS)), names()
    locked = within(asked, LOCKED).count()  # its count tells the failures before it
    privileges = within(asked, *PRIVILEGES)
    refused = within(asked, *ACCESS, *ORDERS)
    changes, listed = _changes(privileges, who), _refusals(refused, who)
    return {
        "figures": [
            figure("sign_in_failures", found.get(FAILED, 0), "Failed sign-ins"),
            figure("lockouts", locked, "Lockouts after repeated failures", if_any="warning"),
            figure("refused_access", sum(found.get(verb, 0) for verb in ACCESS), "Requests refused"),
            figure(
                "refused_orders", sum(found.get(verb, 0) for verb in ORDERS), "Commands, resets and control refused"
            ),
            figure("privilege_changes", changes["total"], "Changes of rights and credentials"),
        ],
        "tables": [_refused(asked, found), _failed(asked, who), _addresses(asked), changes, listed],
        "charts": [
            chart(
                "days",
                "Each day (UTC)",
                "times",
                "line",
                {
                    "failed sign-ins": list(by_day(within(asked, FAILED), asked)),
                    "refusals": list(by_day(refused, asked)),
                },
            )
        ],
    }


def _changes(rows: Rows, who: Any) -> dict[str, Any]:
    cells: list[Cell] = [
        (column("about", "Whom or what"), lambda row: _about(row, who)),
        (column("change", "Before → after"), _change),
    ]
    return listing("privileges", "Changes of rights and credentials", rows, who, cells)


def _refusals(rows: Rows, who: Any) -> dict[str, Any]:
    cells: list[Cell] = [
        (column("target"), lambda row: row.target),
        (column("code"), lambda row: row.data.get("code") or ""),
    ]
    return listing("refusals", "Refusals, one by one", rows, who, cells)


def _refused(asked: Asked, found: dict[str, int]) -> dict[str, Any]:
    words = {**ACCESS, **ORDERS}
    columns = [column("verb", "What"), column("words", "Meaning"), column("count", "Times")]
    rows = [(verb, meaning, found.get(verb, 0)) for verb, meaning in words.items()]
    return table("refused", "Refused", columns, rows, links=[journal_page(asked, verb=verb) for verb in words])


def _failed(asked: Asked, who: Any) -> dict[str, Any]:
    """Whose name was given; nobody's, when no account has it."""
    found = counts(within(asked, FAILED), "person_id")
    locked = dict(within(asked, LOCKED).values_list("person_id").annotate(many=Sum(COUNT)))
    people = sorted(found.keys() | locked.keys(), key=lambda one: (-found.get(one, 0), one or 0))
    rows = [(who(one) if one else "no such name", found.get(one, 0), "yes" if one in locked else "") for one in people]
    columns = [
        column("person", "Name that was given"),
        column("count", "Failed sign-ins"),
        column("locked", "Locked out"),
    ]
    links = [journal_page(asked, verb=FAILED) for _ in rows]
    return table("failed", "Failed sign-ins by name", columns, rows, links=links)


def _addresses(asked: Asked) -> dict[str, Any]:
    found = (
        within(asked, FAILED, *ACCESS).values_list("origin_id").annotate(many=Sum(COUNT)).order_by("-many", "origin_id")
    )
    top = list(found[:MOST_ADDRESSES])
    origins = JournalOrigin.objects.in_bulk([origin for origin, _ in top if origin])
    many: dict[str, int] = {}
    for origin, count in top:
        address = origins[origin].address if origin in origins else ""
        many[address or "not recorded"] = many.get(address or "not recorded", 0) + count
    columns = [column("address"), column("count", "Failures and refusals")]
    return table("addresses", f"Where from (the {MOST_ADDRESSES} most frequent)", columns, many.items())


def _about(row: JournalEntry, who: Any) -> str:
    return " · ".join(part for part in (who(row.person_id) if row.person_id else "", row.target) if part)


def _change(row: JournalEntry) -> str:
    """`role: viewer → operator`; of what is new only what it begins with."""
    data = row.data
    told = data.get("changes") or {name: data[name] for name in ("groups", "members", "robots") if name in data}
    if not isinstance(told, dict):
        return ""
    found = []
    for name, pair in told.items():
        if isinstance(pair, list) and len(pair) == 2 and name not in NOISE:
            before, after = _words(pair[0]), _words(pair[1])
            if before != after:
                found.append(f"{name}: {after}" if before == "none" else f"{name}: {before} → {after}")
        elif pair == "changed" and not row.verb.endswith(".created"):
            found.append(f"{name} changed")
    return "; ".join(found)


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "", "None") else str(value)
