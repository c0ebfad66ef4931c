"""What a socket gets when it subscribes, and what the hub looks up. Blocking database work, run on the hub's threads."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from accounts import journal, permissions
from accounts.journal import iso
from accounts.models import JournalEntry, User
from firmware import state
from firmware.models import Robot, RobotState
from realtime.protocol import REPLAY_LIMIT, frame
from robotctl.text import clean_all

IN_SERVICE = Robot.objects.filter(retired_at=None)


def fleet(user: User, needs: str = "robot.view") -> list[str]:
    """The slugs of the robots this person may see, and on which they hold `needs`."""
    seen = permissions.visible(user, IN_SERVICE.all())
    return list(
        (seen if needs == "robot.view" else permissions.visible(user, seen, needs)).values_list("slug", flat=True)
    )


def robot_rights(user: User, slug: str) -> list[str]:
    """What this person may do on one robot; empty when they may not see it."""
    robot = IN_SERVICE.filter(slug=slug).first()
    rights = permissions.rights(user, robot) if robot else frozenset()
    return sorted(right for right in rights if right.startswith("robot.")) if "robot.view" in rights else []


def states(topics: Iterable[str], kind: str = "snapshot") -> list[tuple[str, int, str]]:
    """(topic, seq, frame) for each `robot.<slug>` and `tile.<slug>` in `topics`: one query."""
    wanted = set(topics)
    slugs = {topic.partition(".")[2] for topic in wanted if topic.startswith(("robot.", "tile."))}
    now, made = timezone.now(), []
    rows = RobotState.objects.filter(robot__slug__in=slugs, robot__retired_at=None).select_related("robot__site")
    for row in rows:
        document = state.document(row.robot, row, now)
        for topic, data in ((f"tile.{row.robot.slug}", state.tile(document)), (f"robot.{row.robot.slug}", document)):
            if topic in wanted:
                made.append((topic, row.seq, frame(kind, topic=topic, seq=row.seq, at=iso(now), data=data)))
    return made


def sequences() -> dict[str, int]:
    """Every robot's current `seq`: what the hub compares itself with."""
    return dict(RobotState.objects.filter(robot__retired_at=None).values_list("robot__slug", "seq"))


def last_event_id() -> int:
    return JournalEntry.objects.values_list("pk", flat=True).order_by("-pk").first() or 0


def events(after: int, *, up_to: int | None = None, limit: int = REPLAY_LIMIT) -> list[tuple[int, list[str], str]]:
    """(id, topics, frame) of the journal rows after `after`, oldest first. Addresses stay in the journal."""
    rows = journal.since(after, limit=limit)
    if up_to is not None:
        rows = JournalEntry.objects.filter(pk__gt=after, pk__lte=up_to).order_by("pk")[:limit]
    made = []
    for row in journal.as_dicts(rows):
        topics = ["journal"] + ([f"robot.{row['robot']}"] if row["robot"] else [])
        shown: dict[str, Any] = {key: value for key, value in row.items() if key not in journal.APART}
        made.append((row["id"], topics, frame("event", **clean_all(shown), topics=topics)))
    return made
