"""Bringing people in by a table: all of it is checked and worked out first, then written at once, in bulk and all or nothing.

While SQLite's one writer writes, nobody else does: so nothing is looked up or judged for each row while it is held.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from rest_framework import exceptions, serializers

from accounts import journal, names, people, permissions, role_changes, roles, sessions
from accounts.audit import PERSONAL
from accounts.models import Grant, JournalEntry, Role, User
from robotctl import problems
from robotctl.problems import Problem
from robotctl.strict import StrictSerializer

FIELDS = ("email", "first_name", "last_name", "role_id", "is_active")
CHANGED = "People, groups, roles or grants have changed meanwhile. Nothing was brought in; try again."


class PersonRow(StrictSerializer):
    username = serializers.CharField(max_length=150)
    email = serializers.EmailField(allow_blank=True, default="")
    first_name = serializers.CharField(max_length=150, allow_blank=True, default="")
    last_name = serializers.CharField(max_length=150, allow_blank=True, default="")
    role = serializers.CharField(max_length=40)
    groups = serializers.ListField(child=serializers.CharField(max_length=150), default=list)
    is_active = serializers.BooleanField(default=True)


class Known(NamedTuple):
    """What the checks rest on, in plain values: equal when nothing has changed."""

    people: dict[str, dict[str, Any]]  # folded user name → fields
    groups: dict[str, int]
    members: set[tuple[int, str]]  # (user, name of the group)
    roles: dict[str, tuple[str | None, frozenset[str]]]
    grants: set[tuple[int | None, str | None, str]]  # (user, or name of the group, role)


def look() -> Known:
    """In six queries, however many people there are."""
    open_grants = Grant.objects.open(timezone.now()).order_by()
    return Known(
        people={row["username"].casefold(): row for row in User.objects.order_by().values("pk", "username", *FIELDS)},
        groups=dict(Group.objects.values_list("name", "pk")),
        members={
            (pk, name) for pk, name in User.objects.filter(groups__isnull=False).values_list("pk", "groups__name")
        },
        roles=Role.table(),
        grants=set(open_grants.values_list("user_id", "group__name", "role_id")),
    )


@dataclass
class Plan:
    """What is to be written."""

    made: list[User] = field(default_factory=list)
    changed: list[User] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)
    joined: list[tuple[User, int]] = field(default_factory=list)  # (person, number of the group)
    left: list[tuple[User, int]] = field(default_factory=list)
    rights_moved: set[int] = field(default_factory=set)
    deactivated: set[int] = field(default_factory=set)
    told: list[tuple[User, JournalEntry]] = field(default_factory=list)


class _Undo(Exception):
    pass


def bring_in(rows: list[dict[str, Any]], by: User, *, dry_run: bool) -> dict[str, Any]:
    """`{"applied", "rows": [{"row","username","does","errors"}]}`. Raises Problem 409 `last_admin`, `changed_meanwhile`."""
    known = look()
    reading = _Reading(known, by)
    told = [reading.row(number, row) for number, row in enumerate(rows, 1)]
    applied = not any(one["errors"] for one in told)
    if reading.refused:
        about = {"count": len(reading.refused)}
        journal.record(
            "access.denied",
            "users.import",
            outcome=journal.Outcome.DENIED,
            reason=str(reading.refused[0].detail)[:200],
            data=about,
        )
    if applied:
        try:
            _write(reading.plan, known, dry_run=dry_run)
        except _Undo:
            applied = False
        except IntegrityError as error:
            raise Problem(409, "changed_meanwhile", CHANGED) from error
    return {"applied": applied, "rows": told}


class _Reading:
    """Goes through the rows and makes the plan. Asks the database nothing."""

    def __init__(self, known: Known, by: User) -> None:
        self.known, self.by, self.plan = known, by, Plan()
        self.named: set[str] = set()
        self.refused: list[Problem] = []
        self.member_of: dict[int, set[str]] = {}
        for pk, name in known.members:
            self.member_of.setdefault(pk, set()).add(name)
        self.taken = {form for one in known.people.values() for form in names.forms(one["username"])}
        self.gives = {name: roles.effective(name, known.roles) for name in known.roles}
        self.of_user: dict[int, frozenset[str]] = {}
        self.of_group: dict[str, frozenset[str]] = {}
        for user, group, role in known.grants:
            if user is not None:
                self.of_user[user] = self.of_user.get(user, frozenset()) | self.gives[role]
            elif group is not None:
                self.of_group[group] = self.of_group.get(group, frozenset()) | self.gives[role]

    def row(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        """Check one row, and plan it."""
        told: dict[str, Any] = {"row": number, "username": row.get("username"), "does": "nothing", "errors": {}}
        given = PersonRow(data=row)
        try:
            given.is_valid(raise_exception=True)
            wanted: dict[str, Any] = given.validated_data
            if wanted["username"].casefold() in self.named:
                raise _invalid("username", "An earlier row is about the same person.")
            self.named.add(wanted["username"].casefold())
            known = self.known.people.get(wanted["username"].casefold())
            if known is None or known["username"] != wanted["username"]:
                self._make(wanted)
                told["does"] = "create"
            elif self._change(known, {name: wanted[name] for name in wanted if name in row}):
                told["does"] = "change"
        except exceptions.APIException as error:
            self.refused += [error] if isinstance(error, Problem) and error.status_code == 403 else []
            body = problems.body(error)
            told["errors"] = body.get("errors") or {"row": [body["detail"]]}
        return told

    def _make(self, wanted: dict[str, Any]) -> None:
        self._check_role(wanted["role"])
        self._check_groups(set(wanted["groups"]))
        about = {name: wanted["role"] if name == "role_id" else wanted[name] for name in FIELDS}
        user = User(username=wanted["username"], **about)
        user.set_unusable_password()  # they come in by a link
        _check(user)
        with _as_problem():
            names.check_against(user.username, self.taken)
        self.taken |= names.forms(user.username)
        self.plan.made.append(user)
        self._note("user.created", user, {"changes": _changes({name: (None, value) for name, value in about.items()})})
        self._regroup(user, set(), set(wanted["groups"]))

    def _change(self, known: dict[str, Any], wanted: dict[str, Any]) -> bool:
        """Whether anything differs. What the table has no column for stays as it is."""
        groups = self.member_of.get(known["pk"], set())
        new_groups = set(wanted.get("groups", groups))
        about = {f"{name}_id" if name == "role" else name: value for name, value in wanted.items()}
        differs = {name: about[name] for name in FIELDS if name in about and about[name] != known[name]}
        if not differs and groups == new_groups:
            return False
        user = User(**known)
        self._check_may_manage(user, groups)
        people.require_another(self.by, user, differs)
        if people.is_forgotten(user):
            raise Problem(409, "forgotten", people.STAYS_FORGOTTEN)
        if "role_id" in differs:
            self._check_role(differs["role_id"])
        self._check_groups(new_groups - groups)
        for name, value in differs.items():
            setattr(user, name, value)
        _check(user)
        self._plan_change(user, known, differs)
        self._regroup(user, groups, new_groups)
        return True

    def _plan_change(self, user: User, known: dict[str, Any], differs: dict[str, Any]) -> None:
        if not differs:
            return
        self.plan.changed.append(user)
        self.plan.fields |= differs.keys()
        if differs.keys() & {"role_id", "is_active"}:
            self.plan.rights_moved.add(user.pk)
        if differs.get("is_active") is False:
            self.plan.deactivated.add(user.pk)
        changes = _changes({name: (known[name], value) for name, value in differs.items()})
        self._note("user.changed", user, {"changes": changes})

    def _regroup(self, user: User, before: set[str], after: set[str]) -> None:
        if before == after:
            return
        self.plan.joined += [(user, self.known.groups[name]) for name in after - before]
        self.plan.left += [(user, self.known.groups[name]) for name in before - after]
        if user.pk is not None:
            self.plan.rights_moved.add(user.pk)
        self._note("user.groups_changed", user, {"groups": [sorted(before), sorted(after)]})

    def _note(self, verb: str, user: User, data: dict[str, Any]) -> None:
        self.plan.told.append((user, journal.entry(verb, data=data)))

    # --- rights: as in people and giving, from what is known ---------------------------------------------------------
    def _check_role(self, name: str) -> None:
        if name not in self.gives:
            raise _invalid("role", f"There is no role {name!r}; there are {', '.join(self.gives)}.")
        permissions.require_may_give(self.by, self.gives[name])

    def _check_groups(self, joined: set[str]) -> None:
        if missing := sorted(joined - self.known.groups.keys()):
            raise _invalid("groups", f"There is no group {missing[0]!r}.")
        permissions.require_may_give(self.by, self._given_to(joined))

    def _check_may_manage(self, user: User, groups: set[str]) -> None:
        held = self.gives[user.role_id or roles.GUEST]
        if user.pk != self.by.pk:
            held |= self.of_user.get(user.pk, frozenset()) | self._given_to(groups)
        permissions.require_may_give(self.by, held)

    def _given_to(self, groups: set[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self.of_group.get(name, frozenset()) for name in groups))


def _changes(differs: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """As the journal has them: before and after, but of what tells who a person is."""
    return {
        name.removesuffix("_id"): "changed" if name in PERSONAL else [str(before), str(after)]
        for name, (before, after) in differs.items()
    }


def _check(user: User) -> None:
    user.email = User.objects.normalize_email(user.email)
    with _as_problem():
        user.clean_fields(exclude=["password", "role"])


@contextmanager
def _as_problem() -> Iterator[None]:
    """What the model refuses, as a Problem 400."""
    try:
        yield
    except ValidationError as error:
        errors = {name: [str(one) for one in words] for name, words in error.message_dict.items()}
        raise Problem(400, "invalid", "; ".join(errors[next(iter(errors))]), errors=errors) from error


def _invalid(name: str, words: str) -> Problem:
    return Problem(400, "invalid", words, errors={name: [words]})


def _write(plan: Plan, known: Known, *, dry_run: bool) -> None:
    """In one transaction of a few statements. Raises Problem 409, _Undo for a dry run, IntegrityError."""
    through: Any = User.groups.through
    with role_changes.changing():
        if look() != known:
            raise Problem(409, "changed_meanwhile", CHANGED)
        User.objects.bulk_create(plan.made)
        _update(plan)
        wanted = models.Q(pk__in=[])
        for group in {group for _, group in plan.left}:
            wanted |= models.Q(group_id=group, user_id__in=[user.pk for user, one in plan.left if one == group])
        through.objects.filter(wanted).delete()
        through.objects.bulk_create([through(user_id=user.pk, group_id=group) for user, group in plan.joined])
        sessions.end_all_of(plan.deactivated)
        permissions.rights_changed(plan.rights_moved)
        for user, entry in plan.told:
            entry.person_id = user.pk  # whoever is new has it only now
        journal.record_all([entry for _, entry in plan.told])
        role_changes.require_administered()
        if dry_run:
            transaction.set_rollback(True)
            raise _Undo


def _update(plan: Plan) -> None:
    """One upsert for all: an UPDATE with a case for each person and field takes seconds. Nothing is inserted by it."""
    if plan.changed:
        User.objects.bulk_create(
            plan.changed, update_conflicts=True, unique_fields=["id"], update_fields=sorted(plan.fields)
        )
