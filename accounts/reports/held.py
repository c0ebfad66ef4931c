"""What everybody holds on every robot, from the tables at once: `permissions.may` for all pairs in a few queries."""

from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import models
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from accounts import permissions, roles
from accounts.factor_models import Authenticator
from accounts.models import Grant, Role, User
from accounts.reports import reviewed

Place = tuple[int, str]  # content type, key: what a grant is on


class Holding(NamedTuple):
    """What grants give on one object, and which ones, in words."""

    rights: frozenset[str]
    why: str


class Line(NamedTuple):
    """A grant as it is shown. `counts`: it gives something now, to somebody."""

    holder: str
    role: str
    on: str
    begins: datetime
    ends: datetime | None
    state: str
    counts: bool
    reason: str
    granted_by: str


class Held:
    """`people`, `robots` (of slug `robot`, or all), `roles` (the table), `grants`, `with_factor` (who has a second factor)."""

    def __init__(self, people: list[User], robot: str, now: datetime) -> None:
        self.people, self.now, self.roles = people, now, Role.table()
        self.robots: list[Any] = [one for make in reviewed for one in make() if robot in ("", getattr(one, "slug", ""))]
        confirmed = Authenticator.objects.filter(confirmed=True)
        self.with_factor = set(confirmed.values_list("user_id", flat=True))
        self._groups = {person.pk: {group.pk for group in person.groups.all()} for person in people}
        self._places = {one.slug: _places(one) for one in self.robots}
        self._given = self._grants()
        self.grants = [self._line(one) for one in self._given]
        self._by_place: dict[Place, list[Grant]] = defaultdict(list)
        for one in self._given:
            if one.starts_at <= now and (one.ends_at is None or one.ends_at > now):
                self._by_place[one.content_type_id, one.object_id].append(one)
        self._projected = self._projection()

    def by_role(self, person: User) -> frozenset[str]:
        """What the role gives, on everything."""
        return roles.effective(person.role_id or roles.GUEST, self.roles) if person.is_active else frozenset()

    def by_grants(self, person: User, robot: Any) -> Holding:
        """What active grants give on this robot, as far as their projection into guardian says so, too."""
        rights, why = frozenset[str](), []
        if not person.is_active:
            return Holding(rights, "")
        for place in self._places[robot.slug]:
            counting = [
                one for one in self._by_place[place] if self._is_of(one, person) and self._may_count(one, person)
            ]
            promised = frozenset[str]().union(*(roles.effective(one.role_id, self.roles) for one in counting))
            found = promised & self._projected_to(person, place)
            if found:
                rights |= found
                why += [_words(one) for one in counting]
        return Holding(roles.with_consequences(rights), "; ".join(why))

    def why_role(self, person: User) -> str:
        if not person.is_active:
            return "deactivated: may nothing"
        inherits = roles.ancestry(person.role_id or roles.GUEST, self.roles)[1:]
        return f"role {person.role_id}" + (f", which inherits from {', '.join(inherits)}" if inherits else "")

    def _is_of(self, given: Grant, person: User) -> bool:
        return given.user_id == person.pk or given.group_id in self._groups[person.pk]

    def _may_count(self, given: Grant, person: User) -> bool:
        return not given.role.asks_factor or person.pk in self.with_factor

    def _grants(self) -> list[Grant]:
        """Those to these people or their groups, on these robots or what they belong to."""
        places = {place for found in self._places.values() for place in found}
        known = {person.pk for person in self.people}
        groups = frozenset[int]().union(*self._groups.values())
        given = Grant.objects.select_related("role", "user", "group", "granted_by", "content_type").prefetch_related(
            "target"
        )
        return [
            one
            for one in given
            if (one.content_type_id, one.object_id) in places and (one.user_id in known or one.group_id in groups)
        ]

    def _projection(self) -> dict[tuple[str, int, Place], set[str]]:
        """("user" or "group", its key, place) → the robot rights that guardian holds."""
        found: dict[tuple[str, int, Place], set[str]] = defaultdict(set)
        kinds = {kind for places in self._places.values() for kind, _ in places}
        rows_of: list[tuple[str, Any]] = [("user", get_user_obj_perms_model()), ("group", get_group_obj_perms_model())]
        for who, model in rows_of:
            rows = model.objects.filter(content_type__in=kinds)
            for key, kind, pk, name in rows.values_list(
                f"{who}_id", "content_type_id", "object_pk", "permission__codename"
            ):
                found[who, key, (kind, pk)].add(f"robot.{name.removesuffix('_robot')}")
        return found

    def _projected_to(self, person: User, place: Place) -> set[str]:
        holders = [("user", person.pk), *(("group", group) for group in self._groups[person.pk])]
        return set[str]().union(*(self._projected.get((who, key, place), set()) for who, key in holders))

    def _line(self, one: Grant) -> Line:
        begins, over = one.starts_at > self.now, one.ends_at is not None and one.ends_at <= self.now
        waits = one.user is not None and not self._may_count(one, one.user)
        inactive = one.user is not None and not one.user.is_active
        state = "begins later" if begins else "is over" if over else "yes"
        if state == "yes" and (waits or inactive):
            state = "no: the person has no second factor" if waits else "no: the person is deactivated"
        holder = one.user.username if one.user else f"group {one.group}"
        by = one.granted_by.username if one.granted_by else ""
        return Line(holder, one.role_id, _on(one), one.starts_at, one.ends_at, state, state == "yes", one.reason, by)


def _places(robot: models.Model) -> list[Place]:
    return [(ContentType.objects.get_for_model(one).pk, str(one.pk)) for one in permissions.granted_through(robot)]


def _on(given: Grant) -> str:
    return f"{given.content_type.name} {given.target or given.object_id}"


def _words(given: Grant) -> str:
    to = f" to group {given.group}" if given.group else ""
    until = f" until {given.ends_at:%Y-%m-%d %H:%M} UTC" if given.ends_at else ""
    return f"{given.role_id} granted on {_on(given)}{to}{until} ({given.reason})"
