"""What could not be written down waits on the disk: it is brought in, in time order, once; until then nothing moves from here."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts import context
from accounts.models import JournalEntry
from firmware import spool, spooling
from firmware.models import Command, RobotState, StopStatus

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    for path in spool.folder().glob("*"):
        path.unlink()


def left_behind(*robots: str, ago_s: float = 30.0, by: str = "bob") -> spool.Press:
    """A press on the disk whose process has died."""
    origin = context.Origin(request_id="r-17", address="10.0.0.7", actor_id=None, actor_name=by)
    made = spool.Press(list(robots), by, "smoke", time.time() - ago_s, origin)
    entry = spool.keep(made)
    assert entry is not None
    entry.let_go()
    os.utime(entry.path, (made.began_at, made.began_at))
    return made


def test_a_stop_left_behind_is_brought_in_with_its_time_and_its_person(robots: Any) -> None:
    robot, _ = robots()
    made = left_behind("oht-01")
    assert spool.is_waiting()
    assert spooling.bring_in() == 1
    row = RobotState.objects.get(robot=robot)
    assert (row.stop_latched, row.stop_status, row.stop_by) == (True, StopStatus.NOT_CONFIRMED, "bob")
    assert row.stop_at == datetime.fromtimestamp(made.began_at, UTC)
    entry = JournalEntry.objects.get(verb="stop.requested")
    assert (entry.robot, entry.reason, entry.request_id) == ("oht-01", "smoke", "r-17")
    assert entry.late
    assert not spool.is_waiting() and spooling.bring_in() == 0, "once"


def test_the_poll_loop_brings_it_in_and_sees_the_stop_through(robots: Any, polling: Any) -> None:
    from robotctl.tests.fixtures import until

    robot, simulator = robots()
    left_behind("oht-01")
    polling()
    until(lambda: RobotState.objects.get(robot=robot).stop_status == StopStatus.CONFIRMED, timeout_s=20)
    assert simulator.truth()["state"] == "ESTOP"


def test_while_one_waits_nothing_is_moved_from_this_host(api: Any, robots: Any) -> None:
    robots("oht-01")
    robots("oht-02")
    left_behind("oht-01")
    refused = api("alice").send("oht-02", "move", {"target_m": 30})
    assert (refused.status_code, refused.json()["code"]) == (409, "spool_pending")
    assert JournalEntry.objects.get(verb="command.refused").data["code"] == "spool_pending"
    spooling.bring_in()
    assert api("alice").send("oht-02", "move", {"target_m": 30}).status_code == 201


def test_a_command_that_was_accepted_before_is_not_sent_any_more(api: Any, robots: Any) -> None:
    """Accepted, then a press by a process that dies: the last look before the wire finds it."""
    robot, simulator = robots()
    from firmware import stopping

    assert not stopping.is_stopped(robot)
    left_behind("oht-01")
    assert stopping.is_stopped(robot)
    assert not Command.objects.exists() and simulator.truth()["state"] == "IDLE"


def test_what_another_writes_down_is_left_to_it(robots: Any) -> None:
    robots()
    press = spool.Press(["oht-01"], "bob", "", time.time() - 5, context.SYSTEM)
    held = spool.keep(press)
    assert held is not None
    assert spooling.bring_in() == 0
    held.drop()
    assert spooling.bring_in() == 0 and not JournalEntry.objects.filter(verb="stop.requested").exists()


def test_a_later_stop_is_not_overwritten_by_an_older_one(robots: Any) -> None:
    from firmware import stop

    robot, _ = robots()
    stop.stop_robots([robot], by="alice", reason="later")
    left_behind("oht-01", ago_s=60)
    spooling.bring_in()
    row = RobotState.objects.get(robot=robot)
    assert (row.stop_by, row.stop_status) == ("alice", StopStatus.CONFIRMED)
    assert JournalEntry.objects.filter(verb="stop.requested").count() == 2


def test_robots_that_are_gone_and_files_that_are_none_block_nobody(robots: Any) -> None:
    robots()
    left_behind("never-was")
    (spool.folder() / "1-x.json").write_text("{")
    os.utime(spool.folder() / "1-x.json", (1, 1))
    assert spooling.bring_in() == 1
    assert not spool.is_waiting()
    assert [path.name for path in spool.folder().glob("*")] == ["1-x.unreadable"]


def test_a_press_is_on_the_disk_only_until_it_is_written_down(api: Any, robots: Any) -> None:
    robots()
    api("bob").post("/api/v1/robots/oht-01/stop/")
    assert list(spool.folder().glob("*")) == []


def test_a_robot_that_a_press_names_is_not_moved_however_new_the_press_is(robots: Any) -> None:
    from accounts import context
    from firmware import spool, stopping

    robot, _ = robots(read=False)
    entry = spool.keep(spool.Press([robot.slug], "bob", "", 1.0, context.SYSTEM))
    assert entry is not None
    assert stopping.is_stopped(robot) and not spool.is_waiting()
    entry.drop()
    assert not stopping.is_stopped(robot)
