"""Roles: what each may do, and the table every installation starts with. Pure: values in, rights out."""

from collections.abc import Mapping
from typing import NamedTuple

ROBOT = ("view", "stop", "command", "jog", "reset", "configure", "register_write", "break_lease", "approve")
ACTIONS: tuple[str, ...] = (
    "fleet.view",
    *(f"robot.{verb}" for verb in ROBOT),
    *(f"alerts.{verb}" for verb in ("view", "acknowledge", "resolve", "silence", "configure")),
    *(f"journal.{verb}" for verb in ("view", "export")),
    *(f"users.{verb}" for verb in ("view", "manage")),
    "roles.manage",
    *(f"monitoring.{verb}" for verb in ("view", "configure")),
    *(f"system.{verb}" for verb in ("view", "admin")),
)
ADMIN_SITE = frozenset({"robot.configure", "users.view", "journal.view", "system.view"})  # any of them opens the admin
ADDRESSES = frozenset({"matrix", "validation"})  # no names of roles: `roles/matrix/`, `roles/validation/`
GUEST = "guest"
ADMIN = "admin"


ON_ALL = frozenset({"fleet.view", "robot.view", "robot.stop"})


class Limits(NamedTuple):
    """What an API token leaves of its person's rights: these actions, on these robots; None: no limit."""

    actions: frozenset[str] | None = None
    slugs: frozenset[str] | None = None

    def of(self, rights: frozenset[str], slug: str | None) -> frozenset[str]:
        """What is left of `rights`, on the object called `slug` (None: on everything)."""
        if self.slugs is not None:
            if slug is None:
                rights &= ON_ALL  # what it may see of them is theirs; everything else asks for one robot
            elif slug not in self.slugs:
                return frozenset()
        return rights if self.actions is None else rights & self.actions


class RoleSpec(NamedTuple):
    title: str
    parent: str | None
    permissions: tuple[str, ...]


DEFAULTS: dict[str, RoleSpec] = {
    GUEST: RoleSpec("Guest", None, ("fleet.view",)),
    "viewer": RoleSpec("Viewer", GUEST, ("robot.view", "robot.stop", "alerts.view", "monitoring.view")),
    "operator": RoleSpec("Operator", "viewer", ("robot.command", "robot.jog", "alerts.acknowledge")),
    "engineer": RoleSpec(
        "Engineer",
        "operator",
        (
            *(f"robot.{verb}" for verb in ("reset", "configure", "register_write", "break_lease", "approve")),
            *(f"alerts.{verb}" for verb in ("resolve", "silence", "configure")),
            "monitoring.configure",
        ),
    ),
    ADMIN: RoleSpec(
        "Administrator",
        "engineer",
        ("journal.view", "journal.export", "users.view", "users.manage", "roles.manage", "system.view", "system.admin"),
    ),
    "auditor": RoleSpec("Auditor", "viewer", ("journal.view", "journal.export", "users.view")),
}


def with_consequences(rights: frozenset[str]) -> frozenset[str]:
    """Whoever may see a robot may stop it: no table can part the two."""
    if "robot.view" in rights or "robot.stop" in rights:
        return rights | {"robot.view", "robot.stop"}
    return rights


def effective(name: str, roles: Mapping[str, tuple[str | None, frozenset[str]]]) -> frozenset[str]:
    """The rights of role `name`, its ancestors' included. `roles` maps a name to (parent, own rights).

    A parent that comes round again ends the walk: a cycle gives no more than its members hold.
    """
    return with_consequences(frozenset[str]().union(*(roles[one][1] for one in ancestry(name, roles))))


def ancestry(name: str, roles: Mapping[str, tuple[str | None, frozenset[str]]]) -> list[str]:
    """The role itself and its ancestors, nearest first."""
    found: list[str] = []
    current: str | None = name
    while current is not None and current in roles and current not in found:
        found.append(current)
        current = roles[current][0]
    return found
