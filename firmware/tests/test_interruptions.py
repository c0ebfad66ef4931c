"""A robot that goes out of action by itself is told of, and what it was doing does not arrive, nor go on."""

import time
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import interruptions, profile, recorder, sequences, spool, threads
from firmware.clients import client_for
from firmware.models import Command, RobotState, Sequence
from firmware.tests.test_sequences import ask, ended
from firmware.tests.test_spool import left_behind
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)
NEAR = {"name": "move", "params": {"target_m": 10.3, "speed_mps": 0.05}}
QUICK = {"name": "move", "params": {"target_m": 10.3}}
FAR = {"name": "move", "params": {"target_m": 40}}


def verbs() -> list[str]:
    return list(JournalEntry.objects.order_by("pk").values_list("verb", flat=True))


def test_a_hardware_stop_is_told_and_interrupts_the_command(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    polling()
    api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8)
    simulator.press_estop()
    until(lambda: "robot.state_changed" in verbs(), timeout_s=30)
    told = JournalEntry.objects.get(verb="robot.state_changed")
    assert (told.data["now"], told.outcome) == ("estopped", "unknown")
    row = Command.objects.get()
    assert (row.status, row.code, row.done_at) == ("confirmed", "interrupted", None)
    assert JournalEntry.objects.get(verb="command.interrupted").data["command"] == row.pk


def test_a_stop_of_ours_that_is_not_written_down_yet_hides_no_other_robots_own(
    robots: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot, _ = robots()
    monkeypatch.setattr(
        spool, "folder", lambda: tmp_path
    )  # a press that is left lying would keep the next tests from moving
    row, spec = robot.state, profile.load(robot.profile)
    row.readings["machine_state"] = ["estopped", time.time()]
    left_behind("oht-99")
    assert [entry.verb for entry in interruptions.told_of_state(row, spec, "idle")] == ["robot.state_changed"]
    left_behind(robot.slug)
    assert interruptions.told_of_state(row, spec, "idle") == [], "the row of that stop will say who stopped it"


def test_a_sequence_ends_with_a_hardware_stop_and_a_reset_moves_nothing(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    polling()
    number = ask(api, [NEAR, {"name": "move", "params": {"target_m": 20}}]).json()["id"]
    near_m = 10.255  # within the tolerance of its target
    until(lambda: simulator.truth()["position_m"] > near_m, timeout_s=20, every_s=0.01)
    simulator.press_estop()
    until(lambda: simulator.truth()["state"] == "ESTOP", timeout_s=30)
    made = ended(number)
    assert made.status == "failed" and made.code in ("interrupted", "state_forbids"), (made.code, made.detail)
    assert simulator.truth()["by_path"]["POST /api/v1/motion/segment/start"] == 1
    assert RobotState.objects.get().sequence is None


@pytest.mark.parametrize("pressed", [True, False])
def test_the_next_step_is_sent_when_a_later_read_says_so_too(pressed: bool, api: Any, robots: Any) -> None:
    robot, simulator = robots()
    number = ask(api, [QUICK, {"name": "move", "params": {"target_m": 20}}]).json()["id"]

    client, started = client_for(robot), "POST /api/v1/motion/segment/start"

    def read() -> None:
        recorder.record([recorder.Contact.seen(robot.pk, client.read(name)) for name in client.profile.reads])
        sequences.go_on([robot.pk])
        assert threads.settle(10)

    until(lambda: Command.objects.get().status == "confirmed")
    until(lambda: simulator.truth()["state"] == "IDLE")
    read()
    assert Command.objects.get().done_at is not None, "it has arrived, as one read says"
    read()
    assert simulator.truth()["by_path"][started] == 1, "nor is the next moment waited for only in name"
    if pressed:
        simulator.press_estop()
        until(lambda: simulator.truth()["state"] == "ESTOP")
    time.sleep(0.2)
    read()
    assert simulator.truth()["by_path"][started] == (1 if pressed else 2)
    assert not pressed or ended(number).code in ("state_forbids", "interrupted")


def test_each_restart_of_two_in_a_row_ends_what_was_begun_between_them(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    polling()
    api("alice").send("oht-01", "move", {"target_m": 10.2}, wait_s=8)
    until(lambda: Command.objects.get().done_at)
    time.sleep(5)  # its counters are read every 5 s
    simulator.restart()
    until(lambda: RobotState.objects.get().restarted_at, timeout_s=15)
    first = RobotState.objects.get().restarted_at or timezone.now()
    until(lambda: api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8).status_code == 201, timeout_s=20)
    until(lambda: simulator.truth()["state"] == "MOVE")
    simulator.restart()
    until(lambda: (RobotState.objects.get().restarted_at or first) > first, timeout_s=15)
    until(lambda: Command.objects.latest("pk").code == "interrupted", timeout_s=15)


def test_a_robot_that_stopped_short_ends_the_sequence_in_seconds(api: Any, robots: Any, polling: Any) -> None:
    robot, _ = robots()
    polling()
    number = ask(api, [FAR, NEAR]).json()["id"]
    until(lambda: Command.objects.get().status == "confirmed")
    client_for(robot).command("halt", {}, send_by=time.monotonic() + 5)  # by somebody beside it: there is no row of it
    made = ended(number)
    assert (made.status, made.code) == ("failed", "not_done"), made.detail
    assert Sequence.objects.get().rests_since is not None
