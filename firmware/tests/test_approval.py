"""A second person: what a profile marks is sent only when somebody else agrees, in time, and if everything still allows it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry, Role, User
from firmware import orders, reconciliation
from firmware.models import Command, DesiredSetting
from firmware.tests.test_equipment import REGISTER, url, write
from robotctl.tests.fixtures import look, until

pytestmark = pytest.mark.django_db(transaction=True)


def ask(api: Any, who: str = "erin") -> int:
    row = write(api(who), REGISTER, 28).json()
    assert (row["status"], row["sent_at"], row["approved_by"]) == ("awaiting_approval", None, None)
    return int(row["id"])


def agree(api: Any, command: int, who: str | None = "ada", **body: Any) -> Any:
    return api(who).post(url(f"commands/{command}/approve/"), {"wait_s": 15} | body, format="json")


def verbs() -> list[str]:
    found = JournalEntry.objects.filter(verb__startswith="command.").order_by("pk")
    return list(found.values_list("verb", flat=True))


def test_nothing_is_sent_before_somebody_else_agrees(robots: Any, api: Any) -> None:
    _, simulator = robots()
    command = ask(api)
    before = simulator.truth()["bodies_received"]
    answer = agree(api, command, reason="looked at the charger")
    row = answer.json()
    assert (answer.status_code, row["status"], row["approved_by"]) == (200, "confirmed", "ada")
    assert row["requested_by"] == "erin" and row["approved_at"] >= row["created_at"]
    assert (before, simulator.truth()["bodies_received"]) == (0, 1)
    assert verbs() == ["command.awaiting_approval", "command.approved", "command.acknowledged", "command.confirmed"]
    entry = JournalEntry.objects.get(verb="command.approved")
    assert (entry.data["note"], entry.data["approved_by"]) == ("looked at the charger", {"person": entry.actor_id})


def test_nobody_agrees_to_their_own_request(robots: Any, api: Any) -> None:
    robots()
    command = ask(api)
    refused = agree(api, command, "erin")
    assert (refused.status_code, refused.json()["code"]) == (403, "own_request")
    assert JournalEntry.objects.get(verb="command.refused").data["code"] == "own_request"
    assert Command.objects.get().status == "awaiting_approval"


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("alice", 403), ("bob", 403), ("charlie", 404)])
def test_who_may_not_approve(who: str | None, status: int, robots: Any, api: Any) -> None:
    robots()
    assert agree(api, ask(api), who).status_code == status
    assert Command.objects.get().status == "awaiting_approval"


def test_one_approval_sends_once(robots: Any, api: Any) -> None:
    _, simulator = robots()
    command = ask(api)
    agree(api, command)
    again = agree(api, command)
    assert (again.status_code, again.json()["code"]) == (409, "not_waiting")
    assert simulator.truth()["bodies_received"] == 1


def test_what_nobody_agrees_to_expires_after_ten_minutes(robots: Any, api: Any) -> None:
    robot, simulator = robots()
    command = ask(api)
    row = Command.objects.get()
    assert timedelta(minutes=9.9) < row.deadline_at - row.created_at < timedelta(minutes=10.1)
    reconciliation.end_unapproved([robot.pk])
    assert Command.objects.get().status == "awaiting_approval"
    Command.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert agree(api, command).json()["code"] == "not_waiting"
    reconciliation.end_unapproved([robot.pk])
    ended = Command.objects.get()
    assert (ended.status, ended.code, simulator.truth()["bodies_received"]) == ("expired", "not_approved", 0)
    assert verbs()[-1] == "command.expired"


def test_the_poll_loop_ends_what_nobody_agreed_to(robots: Any, api: Any, polling: Any) -> None:
    robots()
    ask(api)
    Command.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    polling()
    until(lambda: Command.objects.get().status == "expired", timeout_s=10)


def test_what_has_changed_since_forbids_it_and_it_goes_on_waiting(robots: Any, api: Any) -> None:
    robot, _ = robots()
    command = ask(api)
    api("bob").post(url("robots/oht-01/stop/"))
    refused = agree(api, command)
    assert (refused.status_code, refused.json()["code"]) == (409, "stop_latched")
    api("erin").post(url("robots/oht-01/stop/reset/"), {"reason": "x"}, format="json")
    look(robot)
    assert agree(api, command).json()["status"] == "confirmed"


@pytest.mark.parametrize("lost", ["role", "active"])
def test_who_asked_must_still_be_allowed_to(lost: str, robots: Any, api: Any) -> None:
    robots()
    command = ask(api)
    erin = User.objects.filter(username="erin")
    if lost == "role":
        erin.update(role=Role.objects.get(name="viewer"))
    else:
        erin.update(is_active=False)
    refused = agree(api, command)
    assert (refused.status_code, refused.json()["code"]) == (409, "requester_gone")


def test_it_can_be_taken_back_and_then_nobody_can_agree(robots: Any, api: Any) -> None:
    robots()
    command = ask(api)
    taken = api("erin").post(url(f"commands/{command}/cancel/"), {"reason": "wrong register"}, format="json").json()
    assert taken["status"] == "cancelled"
    assert agree(api, command).json()["code"] == "not_waiting"


def test_the_same_key_asks_once(robots: Any, api: Any) -> None:
    robots()
    body = {"value": 28, "reason": "x"}
    client = api("erin")
    first = client.post(url(REGISTER), body, format="json", HTTP_IDEMPOTENCY_KEY="k1").json()
    again = client.post(url(REGISTER), body, format="json", HTTP_IDEMPOTENCY_KEY="k1")
    assert (again.status_code, again.json()["id"], Command.objects.count()) == (200, first["id"], 1)


def test_a_setting_is_wanted_only_once_it_is_agreed_to(robots: Any, api: Any) -> None:
    robots()
    body = {"values": {"state_machine.timeout_ms": 20000}, "reason": "x"}
    (waiting,) = api("erin").patch(url("robots/oht-01/config/"), body, format="json").json()["commands"]
    assert not DesiredSetting.objects.exists()
    assert agree(api, waiting["id"]).json()["status"] == "confirmed"
    assert DesiredSetting.objects.get().by == "erin"


# --- the reset of a stop that did not come from here -------------------------------------------------------------------
def hardware_stop(robots: Any, **options: Any) -> Any:
    robot, simulator = robots("oht-01", dialect="documented", **options)
    simulator.press_estop()
    until(lambda: simulator.truth()["state"] == "ESTOP")
    simulator.release_estop()
    look(robot)
    return robot, simulator


def reset(api: Any, who: str = "erin") -> Any:
    return api(who).post(url("robots/oht-01/stop/reset/"), {"reason": "cleared"}, format="json")


def test_a_hardware_stop_is_reset_by_two_people(robots: Any, api: Any) -> None:
    _, simulator = hardware_stop(robots)
    asked = reset(api).json()
    assert (asked["status"], asked["code"]) == ("awaiting_approval", "needs_approval")
    assert simulator.truth()["state"] == "ESTOP", "nothing was sent"
    assert reset(api).json()["code"] == "duplicate"
    row = agree(api, asked["command"]).json()
    assert (row["name"], row["status"], row["approved_by"]) == (orders.RESET, "confirmed", "ada"), row["detail"]
    assert simulator.truth()["state"] == "IDLE"


def test_a_stop_of_ours_is_reset_by_one(robots: Any, api: Any) -> None:
    robots()
    api("bob").post(url("robots/oht-01/stop/"))
    assert reset(api).json()["status"] == "confirmed"


def test_a_reset_that_is_agreed_to_and_not_obeyed_says_so(robots: Any, api: Any) -> None:
    _, simulator = hardware_stop(robots)
    command = reset(api).json()["command"]
    simulator.press_estop()
    row = agree(api, command).json()
    assert row["status"] in ("failed", "rejected") and row["detail"], row


def test_the_same_waits_once_and_not_without_end(robots: Any, api: Any) -> None:
    from firmware import waiting

    robots()
    ask(api)
    again = write(api("erin"), REGISTER, 28)
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")
    made = Command.objects.get()
    for number in range(waiting.MOST - 1):
        made.pk, made.params, made.idempotency_key = None, made.params | {"raw": number}, f"k{number}"
        made.save()
    full = write(api("erin"), REGISTER, 27)
    assert (full.status_code, full.json()["code"]) == (409, "too_many_waiting")


def test_what_was_agreed_to_is_not_taken_back(robots: Any, api: Any) -> None:
    robots()
    command = ask(api)
    Command.objects.update(status="accepted", approved_at=timezone.now(), approved_by="ada")
    late = api("erin").post(url(f"commands/{command}/cancel/"), {})
    assert (late.status_code, late.json()["code"]) == (409, "already_sent")
