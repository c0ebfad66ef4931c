"""What stands between a person's order and the robot: asked when it is given, and again when a second person agrees to it."""

from datetime import datetime, timedelta

from accounts import permissions
from accounts.models import User
from firmware import control, recorder, spool, state, stopping
from firmware.language.kind import Profile
from firmware.models import RobotState
from firmware.orders import Order
from robotctl.problems import Problem

APPROVED_WITHIN = timedelta(minutes=10)


def require(row: RobotState, user: User, spec: Profile, name: str, order: Order, now: datetime) -> None:
    """Raises PermissionDenied, and Problem 409 or 503 with the cause. `row` is locked by the caller; motion takes the lease."""
    robot = row.robot
    permissions.require(user, order.right, robot)
    if order.kind in state.LATCH_FORBIDS and spool.is_waiting():
        words = "A stop from this host is not written down yet; until it is, nothing is moved from here."
        raise Problem(409, "spool_pending", words)
    if order.kind in state.LATCH_FORBIDS and stopping.is_pending(robot.slug):
        raise Problem(409, "stop_latched", "The robot has just been told to stop.")
    if order.kind == "motion" and recorder.motion_unanswered([robot.pk]):
        words = "An earlier motion request has not been answered yet: the robot may still obey it."
        raise Problem(409, "state_forbids", words)
    verdict = state.forbidden(robot, row, spec, order.kind, order.states, name.replace("_", " "), now)
    if not verdict["allowed"]:
        status = 503 if verdict["code"] == "circuit_open" else 409
        raise Problem(status, verdict["code"], verdict["reason"])
    if order.kind == "motion":
        control.for_motion(robot, row, user, now)
