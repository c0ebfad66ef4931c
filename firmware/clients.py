"""This process's clients, one for each robot, kept while the robot's wiring stays the same."""

import threading

from firmware import profile
from firmware.client import RobotClient
from firmware.models import Robot

_clients: dict[int, tuple[tuple[str, str, str], RobotClient]] = {}
_lock = threading.Lock()


def client_for(robot: Robot) -> RobotClient:
    """The robot's client. Raises BadProfile, credentials.Unreadable."""
    with _lock:
        kept = _clients.get(robot.pk)
        if kept is not None and kept[0] == robot.wiring:
            return kept[1]
        made = RobotClient(
            slug=robot.slug, base_url=robot.base_url, profile=profile.load(robot.profile), credentials=robot.credentials
        )
        _clients[robot.pk] = (robot.wiring, made)
    if kept is not None:
        kept[1].close()
    return made
