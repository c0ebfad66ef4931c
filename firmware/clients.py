"""This process's clients, one for each robot, kept while the robot's wiring stays the same."""

import threading
from typing import Any

from firmware import parameters, profile
from firmware.client import RobotClient
from firmware.errors import BadProfile
from firmware.language.kind import Profile
from firmware.models import Robot
from firmware.signing import bound
from robotctl.problems import Problem


def settings_of(robot: Robot, kind: Profile) -> dict[str, Any]:
    """What the profile asks of each robot, as this one was given it. Raises BadProfile."""
    try:
        return parameters.sent(kind.settings, parameters.check(kind.settings, robot.settings, "settings"))
    except Problem as problem:
        raise BadProfile(robot.slug, "settings", str(problem.detail)) from problem


_clients: dict[int, tuple[tuple[str, ...], RobotClient]] = {}
_lock = threading.Lock()


def client_for(robot: Robot) -> RobotClient:
    """The robot's client. Raises BadProfile, credentials.Unreadable."""
    with _lock:
        kept = _clients.get(robot.pk)
        if kept is not None and kept[0] == robot.wiring:
            return kept[1]
        kind = profile.load(robot.profile)
        made = RobotClient(
            slug=robot.slug,
            base_url=robot.base_url,
            profile=bound(kind, settings_of(robot, kind)),
            credentials=robot.credentials,
        )
        _clients[robot.pk] = (robot.wiring, made)
    if kept is not None:
        kept[1].close()
    return made
