"""Access review: who can do what on which robot, and why; what is unused, dormant, or without an end.

Worked out from the tables in a constant number of queries; a test compares every cell with `permissions.may`.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from accounts import roles
from accounts.journal import iso
from accounts.models import ApiToken, JournalEntry, Role, User
from accounts.reports import Asked, Parts, usage
from accounts.reports.held import Held
from accounts.reports.rows import journal_page
from accounts.reports.shapes import TIME, chart, column, figure, table

DORMANT_AFTER = timedelta(days=30)
OLD_AFTER = timedelta(days=90)
EVERYWHERE, NOBODY = "all robots", "nobody has it"


def make(asked: Asked) -> Parts:
    now, people = timezone.now(), _people(asked)
    held = Held(people, asked.robot, now)
    unused = _unused(asked, held)
    dormant = [person for person in people if person.is_active and _dormant(person, now)]
    tokens, orphans = _tokens(asked, now), _roles(held)
    active = [person for person in people if person.is_active]
    per_role = [(one, sum(person.role_id == one for person in active)) for one in sorted(held.roles)]
    return {
        "figures": [
            figure("people", len(active), "People who may sign in"),
            figure("dormant", len(dormant), f"Of these without an act for {DORMANT_AFTER.days} days, or ever"),
            figure("grants", sum(one.counts for one in held.grants), "Grants that are in force now"),
            figure("unused", len(unused["rows"]), "Rights that were not used in the period"),
            figure("tokens", sum(bool(row[-1]) for row in tokens["rows"]), "API tokens to look at"),
            figure("orphans", sum(row[-1] == NOBODY for row in orphans["rows"]), "Roles that nobody has"),
        ],
        "tables": [_rights(held), _grants(held), _listed(held, now), unused, tokens, orphans],
        "charts": [chart("roles", "People in each role", "people", "bars", {"people": list(per_role)})],
    }


def _people(asked: Asked) -> list[User]:
    """With when each last did something: one walk along the index of actors for each, in one query."""
    last = JournalEntry.objects.filter(actor_id=OuterRef("pk")).order_by("-at", "-pk").values("at")[:1]
    people = User.objects.select_related("role").prefetch_related("groups").annotate(last_act=Subquery(last))
    return list((people.filter(pk=asked.person.pk) if asked.person else people).order_by("username"))


def _dormant(person: Any, now: datetime) -> str:
    if person.last_act is None:
        return "never did anything"
    return f"nothing for {(now - person.last_act).days} days" if person.last_act < now - DORMANT_AFTER else ""


def _rights(held: Held) -> dict[str, Any]:
    """For each person what the role gives on all robots; and a row for each robot on which grants give more."""
    columns = [column("person"), column("robot")]
    columns += [column(verb) for verb in roles.ROBOT]
    rows = []
    for person in held.people:
        own = held.by_role(person)
        rows.append((person.username, EVERYWHERE, *_ticks(own), held.why_role(person)))
        for robot in held.robots:
            more = held.by_grants(person, robot)
            if more.rights - own:
                rows.append((person.username, robot.slug, *_ticks(own | more.rights), more.why))
    words = "A row for one robot stands where grants give more there than the role gives on all of them."
    return table("rights", "Who can do what on which robot, and why", [*columns, column("because")], rows, words=words)


def _ticks(rights: frozenset[str]) -> list[str]:
    return ["yes" if f"robot.{verb}" in rights else "" for verb in roles.ROBOT]


def _grants(held: Held) -> dict[str, Any]:
    columns = [
        column("holder"),
        column("role"),
        column("on"),
        column("from", "From", TIME),
        column("until", "Until", TIME),
    ]
    columns += [column("counts", "In force"), column("reason"), column("granted_by", "Granted by")]
    rows = [
        (one.holder, one.role, one.on, iso(one.begins), iso(one.ends), one.state, one.reason, one.granted_by)
        for one in held.grants
    ]
    return table("grants", "Grants", columns, rows)


def _listed(held: Held, now: datetime) -> dict[str, Any]:
    columns = [column("person"), column("active"), column("role"), column("groups"), column("factor", "Second factor")]
    columns += [column("elsewhere", "Other rights"), column("last_act", "Last act", TIME), column("dormant")]
    rows = []
    for person in held.people:
        has, asks = person.pk in held.with_factor, bool(person.role and person.role.asks_factor)
        factor = "on" if has else "required, not set up" if asks else "off"
        other = sorted(right for right in held.by_role(person) if not right.startswith("robot."))
        groups = ", ".join(sorted(group.name for group in person.groups.all()))
        last: Any = getattr(person, "last_act", None)
        row = (person.username, "yes" if person.is_active else "no", person.role_id, groups, factor, ", ".join(other))
        rows.append((*row, iso(last), _dormant(person, now) if person.is_active else ""))
    links = [journal_page(actor=person.username) for person in held.people]
    return table("people", "People", columns, rows, links=links)


def _unused(asked: Asked, held: Held) -> dict[str, Any]:
    """Rights that leave a trace when they are used, and left none."""
    used = usage.used(asked)
    rows = []
    for person in held.people:
        granted = frozenset[str]().union(*(held.by_grants(person, robot).rights for robot in held.robots))
        own = held.by_role(person)
        for right in roles.ACTIONS:
            if right in (own | granted) & usage.TRACED and (person.pk, right) not in used:
                rows.append((person.username, right, f"role {person.role_id}" if right in own else "grants"))
    columns = [column("person"), column("right"), column("through")]
    words = f"Only rights whose use is journalled can be told: {', '.join(sorted(usage.TRACED))}."
    return table("unused", "Rights that were not used in the period", columns, rows, words=words)


def _tokens(asked: Asked, now: datetime) -> dict[str, Any]:
    columns = [column("person"), column("name"), column("made", "Made", TIME), column("expires", "Expires", TIME)]
    columns += [column("used", "Last used", TIME), column("limits"), column("finding", "Look at it")]
    tokens: QuerySet[ApiToken] = ApiToken.objects.select_related("user").order_by("user__username", "created")
    if asked.person:
        tokens = tokens.filter(user=asked.person)
    rows = []
    for one in tokens:
        limits = ["all rights"] if one.actions is None else one.actions
        where = "" if one.robots is None else f"on {', '.join(one.robots) or 'no robot'}"
        stop = "may stop" if one.may_stop else "may not stop"
        told = ", ".join(part for part in (*limits, where, stop) if part)
        times = (iso(one.created), iso(one.expiry), iso(one.last_used_at))
        rows.append((one.user.username, one.name, *times, told, _finding(one, now)))
    return table("tokens", "API tokens", columns, rows)


def _finding(token: ApiToken, now: datetime) -> str:
    found = []
    if token.expiry is None:
        found.append("never expires")
    if token.created < now - OLD_AFTER:
        found.append(f"made {(now - token.created).days} days ago")
    if token.last_used_at is None:
        found.append("never used")
    elif token.last_used_at < now - DORMANT_AFTER:
        found.append(f"not used for {(now - token.last_used_at).days} days")
    return ", ".join(found)


def _roles(held: Held) -> dict[str, Any]:
    columns = [column("role"), column("title"), column("parent"), column("people"), column("grants"), column("rights")]
    counted = Role.objects.annotate(
        people=Count("users", filter=Q(users__is_active=True), distinct=True), given=Count("grant", distinct=True)
    )
    parents = {parent for parent, _ in held.roles.values()}
    rows = []
    for one in counted:
        finding = "" if one.people or one.given else "inherited from only" if one.pk in parents else NOBODY
        rights = ", ".join(sorted(roles.effective(one.pk, held.roles)))
        rows.append((one.pk, one.title, one.parent_id, one.people, one.given, rights, finding))
    return table("roles", "Roles", [*columns, column("finding", "Look at it")], rows)
