"""Which rights people used: what rows of the journal show the use of which right."""

from django.db.models import F
from django.db.models.fields.json import KT

from accounts import roles
from accounts.reports import Asked
from accounts.reports.rows import within

COMMANDS = ("command.accepted", "command.awaiting_approval")
BY_NAME = {
    "jog": "robot.jog",
    "register_write": "robot.register_write",
    "configure": "robot.configure",
    "reset": "robot.reset",
}
BY_VERB = {
    "stop.requested": "robot.stop",
    "reset.requested": "robot.reset",
    "setting.desired": "robot.configure",
    "robot.created": "robot.configure",
    "robot.changed": "robot.configure",
    "robot.retired": "robot.configure",
    "robot.maintenance": "robot.configure",
    "lease.taken": "robot.command",
    "lease.broken": "robot.break_lease",
    "command.approved": "robot.approve",
    "alert.acknowledged": "alerts.acknowledge",
    "alert.resolved": "alerts.resolve",
    "alert.silenced": "alerts.silence",
    "journal.exported": "journal.export",
    "report.viewed": "journal.view",
    "users.exported": "users.view",
    **{f"user.{what}": "users.manage" for what in ("created", "changed", "forgotten", "groups_changed")},
    **{f"grant.{what}": "users.manage" for what in ("created", "deleted")},
    **{f"group.{what}": "users.manage" for what in ("created", "changed", "deleted", "members_changed")},
    **{f"role.{what}": "roles.manage" for what in ("created", "changed", "deleted")},
    "auth.link_issued": "users.manage",
    "auth.unlocked": "users.manage",
}
TRACED = frozenset(BY_VERB.values()) | frozenset(BY_NAME.values()) | {"robot.command"}
assert set(roles.ACTIONS) >= TRACED


def used(asked: Asked) -> set[tuple[int, str]]:
    """(person, right) for everything that they did in the period, on whatever robot. One query, of a group for each."""
    rows = within(asked._replace(robot=""), *COMMANDS, *BY_VERB).filter(actor_id__isnull=False)
    found = rows.values_list(F("actor_id"), F("verb"), KT("data__name")).distinct()
    return {
        (actor, BY_VERB.get(verb) or BY_NAME.get(str(name), "robot.command"))
        for actor, verb, name in found
        if actor is not None
    }
