"""What a robot belongs to, its site and its groups: rights are granted through them, so a move gives rights and takes them."""

from collections.abc import Iterable

from accounts import giving, journal, permissions
from accounts.models import Grant, User
from firmware.models import Robot, RobotGroup, Site
from robotctl.problems import Problem


def registered(robot: Robot) -> Robot:
    """Its row as it is now, nobody else's until the transaction ends. Raises Problem 409 `retired`."""
    now = Robot.objects.select_for_update(of=("self",), no_key=True).select_related("site").get(pk=robot.pk)
    if now.retired_at is not None:
        raise Problem(409, "retired", "This robot is out of service for good.")
    return now


def site_changed(robot: Robot, before: Site | None, by: User) -> None:
    """Check and journal that `robot` now stands on another site. In the transaction that moved it.

    Raises Problem 403 `permission_denied`, `beyond_own_rights`.
    """
    if robot.site == before:
        return
    left, joined = ([site] if site else [] for site in (before, robot.site))
    giving.require_may_move(by, left=left, joined=joined)
    names = [site.name if site else None for site in (before, robot.site)]
    journal.record("robot.site_changed", robot.slug, robot=robot.slug, data={"site": names})
    permissions.rights_changed(permissions.holders(Grant.objects.on(*left, *joined)))


def robots_changed(group: RobotGroup, before: Iterable[str], by: User, *, what: str = "changed") -> None:
    """Check and journal that `group` now holds other robots than `before` (slugs). In the transaction that changed it.

    Raises Problem 403 `beyond_own_rights`.
    """
    held, holds = set(before), set(group.robots.values_list("slug", flat=True))
    giving.require_may_move(by, left=[group] if held - holds else [], joined=[group] if holds - held else [])
    about = {"robots": [sorted(held), sorted(holds)], "title": group.title}
    journal.record(f"robotgroup.{what}", group.name, data=about)
    permissions.rights_changed(permissions.holders(Grant.objects.on(group)) if held != holds else ())
