"""What is no measurement is left out and said; what is there is not written twice; robots' readings come with their own time."""

import math
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from firmware.clients import client_for
from firmware.errors import BadReply, NoReply, Unreachable
from firmware.recorder import Contact
from monitoring import recording
from monitoring.models import Sample, Series, in_ms
from monitoring.recording import Measured
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


@pytest.fixture(autouse=True)
def begun(transactional_db: None) -> None:
    recording.known.forget()


def measured(value: float, *, at: Any = None, unit: str = "%", metric: str = "cpu_percent") -> Measured:
    return Measured("host:here", metric, unit, at or timezone.now(), value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_measurement_is_left_out(value: float) -> None:
    assert recording.record([measured(value), measured(5.0)]) == 1
    assert list(Sample.objects.values_list("value", flat=True)) == [5.0]


@pytest.mark.parametrize(("ago", "left_out"), [(-3_600, 1), (-4, 0), (22 * 3_600, 0), (24 * 3_600, 1)])
def test_a_clock_that_was_set_writes_nothing_into_the_future_or_into_what_was_pruned(ago: float, left_out: int) -> None:
    assert recording.record([measured(5.0, at=timezone.now() - timedelta(seconds=ago))]) == left_out
    assert Sample.objects.count() == 1 - left_out


def test_the_same_is_written_once_and_the_first_stays() -> None:
    for value in (5.0, 6.0):
        recording.record([measured(value, at=NOW)])
    assert list(Sample.objects.values_list("value", "at_ms")) == [(5.0, in_ms(NOW))]


def test_a_series_gets_another_unit_and_comes_back_when_it_was_deleted() -> None:
    recording.record([measured(5.0)])
    recording.record([measured(5.0, unit="‰")])
    assert Series.objects.get().unit == "‰"
    Series.objects.all().delete()
    recording.record([measured(7.0, unit="‰")])
    assert Sample.objects.get().series == Series.objects.get()


def test_a_batch_is_one_write_however_large() -> None:
    recording.record([measured(1.0, metric=f"m{number}") for number in range(200)])
    with CaptureQueriesContext(connection) as asked:
        recording.record([measured(2.0, metric=f"m{number}") for number in range(200)])
    inserts = [one["sql"] for one in asked.captured_queries if one["sql"].startswith("INSERT")]
    assert len(inserts) == 1 and len(asked.captured_queries) <= 4


def test_what_was_read_of_a_robot_has_its_own_time_and_the_link_is_told(robots: Any) -> None:
    robot, _ = robots()
    client = client_for(robot)
    seen = {name: client.read(name) for name in client.profile.reads}
    later = timezone.now() + timedelta(seconds=1)
    lost = Contact.failed(robot.pk, later, "state", Unreachable("no route"))
    batch = [*(Contact.seen(robot.pk, one) for one in seen.values()), lost]
    assert recording.record(recording.of_contacts(batch)) == 0
    rows = Sample.objects.filter(series__source="robot:oht-01").select_related("series")
    read_at = {name: round(one.began_at * 1_000) for one in seen.values() for name in one.values}
    told = [row for row in rows if not row.series.metric.startswith("link_")]
    assert len(told) > 3 and all(row.at_ms == read_at[row.series.metric] and row.series.unit for row in told)
    moments = {in_ms(one.at) for one in batch[:-1]}  # two reads may be of one millisecond
    assert rows.filter(series__metric="link_latency_ms").count() == len(moments)
    answered = rows.filter(series__metric="link_answered").order_by("at_ms").values_list("value", flat=True)
    assert list(answered) == [1.0] * len(moments) + [0.0]


def test_what_the_poll_loop_hands_over_is_written_once_a_second_and_outlasts_the_database(robots: Any) -> None:
    robot, _ = robots()
    contacts = [Contact.seen(robot.pk, client_for(robot).read("state")) for _ in range(3)]
    samples = recording.Handover()
    samples(contacts[:1])
    assert not Sample.objects.exists(), "it waits for more"

    def away(*_: Any) -> Any:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away), pytest.raises(OperationalError):
        samples.flush()
    samples(contacts[1:])
    samples.flush()
    moments = {in_ms(one.at) for one in contacts}
    assert set(Sample.objects.filter(series__metric="link_answered").values_list("at_ms", flat=True)) == moments
    samples.flush()
    assert Sample.objects.filter(series__metric="link_answered").count() == len(moments)


def test_a_running_poll_loop_hands_over_what_it_reads(robots: Any, polling: Any) -> None:
    robots()
    loop = polling()
    taken: list[Contact] = []
    loop._hand_on = taken.extend
    until(lambda: len(taken) > 3)
    assert {one.read for one in taken} >= {"state"}


def test_a_bad_answer_is_an_answer_and_a_number_beyond_all_measure_is_none(robots: Any) -> None:
    robot, _ = robots()
    at = timezone.now()
    contacts = [
        Contact.failed(robot.pk, at, "state", BadReply("HTML")),
        Contact.failed(robot.pk, at, "state", NoReply("?")),
    ]
    assert [one.value for one in recording.of_contacts(contacts)] == [1.0, 0.0]
    seen = Contact.seen(robot.pk, client_for(robot).read("state"))
    assert seen.observation is not None
    seen.observation.values["position_m"] = 10**400
    assert recording.record(recording.of_contacts([seen])) == 1


def test_who_takes_what_was_read_and_falls_ends_no_polling(robots: Any, polling: Any) -> None:
    robots()
    loop = polling()
    asked: list[int] = []

    def fall(batch: list[Contact]) -> None:
        asked.append(len(batch))
        raise ValueError("not what was expected")

    loop._hand_on = fall
    until(lambda: len(asked) > 3)
    assert not loop.failed


def test_while_it_is_passed_on_nobody_judges_modes_by_silence(robots: Any, polling: Any) -> None:
    robots()
    loop, going_on = polling(), threading.Event()
    loop._hand_on = lambda _: going_on.wait(10)
    try:
        until(loop._is_behind)
    finally:
        going_on.set()
    until(lambda: not loop._is_behind())
