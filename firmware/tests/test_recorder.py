"""What is stored of a robot: never invented, never older over newer, its age told with every reading."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import recorder, state
from firmware.client import Observation
from firmware.errors import NoReply, Rejected
from firmware.models import Robot, RobotState, Transition
from firmware.recorder import Contact
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def robot(transactional_db: None) -> Any:
    return register("oht-01", "http://127.0.0.1:9", poll_interval_s=1.0)


def seen(robot: Robot, at: datetime, **values: Any) -> Contact:
    return Contact.seen(robot.pk, Observation("state", values, at.timestamp(), at.timestamp() + 0.01))


def document(robot: Robot, now: datetime | None = None) -> dict[str, Any]:
    row = RobotState.objects.select_related("robot__site").get(robot=robot)
    return state.document(row.robot, row, now or timezone.now())


def test_a_value_never_read_is_null_and_says_never(robot: Robot) -> None:
    reading = document(robot)["readings"]["battery_percent"]
    assert (reading["value"], reading["quality"], reading["observed_at"], reading["age_s"]) == (
        None,
        "never",
        None,
        None,
    )
    assert reading["unit"] == "%"
    assert document(robot)["machine_state"]["value"] is None
    assert document(robot)["mode"] == "offline"


def test_a_read_begun_before_the_stored_one_never_overwrites_it(robot: Robot) -> None:
    now = timezone.now()
    recorder.record([seen(robot, now, machine_state="moving")])
    recorder.record([seen(robot, now - timedelta(seconds=1), machine_state="idle")])
    assert document(robot)["machine_state"]["value"] == "moving"


def test_in_one_batch_the_newest_wins_in_any_order(robot: Robot) -> None:
    now = timezone.now()
    recorder.record([seen(robot, now, position_m=2.0), seen(robot, now - timedelta(seconds=1), position_m=1.0)])
    assert document(robot)["readings"]["position_m"]["value"] == 2.0


@pytest.mark.parametrize(
    ("age_s", "value", "quality"),
    [(2.9, 17.3, "live"), (3.2, 17.3, "stale"), (299.0, 17.3, "stale"), (301.0, None, "stale")],
)
def test_age_and_quality_are_computed_when_they_are_read(
    robot: Robot, age_s: float, value: float | None, quality: str
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    recorder.record([seen(robot, at, position_m=17.3, machine_state="idle")])
    shown = document(robot, at + timedelta(seconds=age_s))
    assert (shown["readings"]["position_m"]["value"], shown["readings"]["position_m"]["quality"]) == (value, quality)
    assert shown["readings"]["position_m"]["age_s"] == pytest.approx(age_s)
    assert shown["machine_state"]["value"] == "idle"  # a word keeps standing, with its age


def test_a_dead_poller_never_leaves_online_standing(robot: Robot) -> None:
    now = timezone.now()
    recorder.record([seen(robot, now, machine_state="idle") for _ in range(3)])
    assert document(robot)["mode"] == "online"
    assert RobotState.objects.get().recorded_mode == "online"
    assert document(robot, now + timedelta(seconds=11))["mode"] == "offline"
    assert document(robot, now + timedelta(seconds=11))["commands"]["move"]["code"] == "mode_forbids"


def test_every_change_raises_the_sequence_by_one(robot: Robot) -> None:
    before = RobotState.objects.get().seq
    recorder.record([seen(robot, timezone.now(), machine_state="idle")])
    recorder.record([Contact.failed(robot.pk, timezone.now(), "state", NoReply("no reply"))])
    assert RobotState.objects.get().seq == before + 2


def test_a_change_of_mode_is_a_transition_and_a_journal_row_with_its_reason(robot: Robot) -> None:
    now = timezone.now()
    recorder.record([seen(robot, now, machine_state="idle")])
    recorder.record(
        [
            Contact.failed(robot.pk, now, "state", NoReply("The request was sent; no whole reply came."))
            for _ in range(2)
        ]
    )
    assert list(Transition.objects.order_by("pk").values_list("old", "new")) == [
        ("offline", "recovering"),
        ("recovering", "degraded"),
    ]
    row = JournalEntry.objects.get(verb="robot.degraded")
    assert (row.robot, row.data) == ("oht-01", {"was": "recovering"})
    assert "no whole reply" in row.reason


def test_a_robot_that_says_no_is_there_but_what_it_said_before_grows_old(robot: Robot) -> None:
    now = timezone.now()
    recorder.record([Contact.failed(robot.pk, now, "state", Rejected("Unauthorized", status=401))])
    row = RobotState.objects.get()
    assert row.last_contact_at == now
    assert (row.last_error_code, row.readings) == ("rejected", {})


def test_a_batch_costs_the_same_queries_for_one_robot_and_for_many(
    robot: Robot, django_assert_num_queries: Any
) -> None:
    many = [robot] + [register(f"oht-{number}", f"http://127.0.0.1:{number}") for number in range(20, 40)]
    recorder.record([seen(one, timezone.now(), machine_state="idle") for one in many for _ in range(3)])

    def queries(robots: list[Robot]) -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as captured:
            recorder.record([seen(one, timezone.now(), machine_state="idle") for one in robots])
        return len(captured)

    assert queries(many[:1]) == queries(many) <= 6


def test_one_read_that_is_always_refused_keeps_no_robot_from_being_online(robot: Robot) -> None:
    for _ in range(4):
        recorder.record([seen(robot, timezone.now(), machine_state="idle")])
        recorder.record([Contact.failed(robot.pk, timezone.now(), "battery", Rejected("Not found", status=404))])
    assert RobotState.objects.get().recorded_mode == "online"
    recorder.record([Contact.failed(robot.pk, timezone.now(), "battery", NoReply("no reply")) for _ in range(2)])
    assert RobotState.objects.get().recorded_mode == "degraded"
