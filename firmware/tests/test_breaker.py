"""The circuit breaker: tables and properties for its rule, and what people and robots see of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from accounts.models import JournalEntry
from firmware import breaker, link
from firmware.breaker import CLOSED, Breaker
from firmware.models import Command, RobotState
from robotctl.tests.fixtures import until

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def failed(before: Breaker, failures: int, code: str = "no_reply", now: datetime = NOW) -> Breaker:
    return breaker.after_failure(before, code=code, words="It said nothing.", failures=failures, now=now)


@pytest.mark.parametrize(
    ("failures", "code", "state"),
    [
        (4, "no_reply", "closed"),
        (5, "no_reply", "open"),
        (5, "unreachable", "open"),
        (50, "rejected", "closed"),
        (50, "frozen", "closed"),
    ],
)
def test_it_opens_by_silence_in_a_row_and_by_nothing_that_a_robot_says(failures: int, code: str, state: str) -> None:
    assert failed(CLOSED, failures, code).state(NOW) == state


class Life(RuleBasedStateMachine):
    """A robot that is silent or answers, in any order and at any pace."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.now, self.failures = CLOSED, NOW, 0

    @rule(code=st.sampled_from(["no_reply", "unreachable", "rejected", "bad_reply"]), waited_s=st.floats(0, 20))
    def fails(self, code: str, waited_s: float) -> None:
        self.now += timedelta(seconds=waited_s)
        self.failures += 1
        before, self.held = self.held, failed(self.held, self.failures, code, self.now)
        if before.opened_at is not None:
            assert (self.held.opened_at, self.held.reason) == (before.opened_at, before.reason)
            assert self.held.probes == before.probes + 1

    @rule(waited_s=st.floats(0, 20))
    def answers(self, waited_s: float) -> None:
        self.now += timedelta(seconds=waited_s)
        self.failures, self.held = 0, CLOSED

    @invariant()
    def whenever_it_is_not_closed_the_next_probe_is_at_most_15_s_off(self) -> None:
        if self.held.state(self.now) == "closed":
            assert self.held.next_probe_at is None
        else:
            assert self.held.next_probe_at is not None and self.held.reason
            assert self.held.next_probe_at - self.now <= timedelta(seconds=15)
            assert self.held.state(self.held.next_probe_at) == "half_open"


TestLife = Life.TestCase


@given(st.integers(0, 20_000))
def test_a_robot_that_stays_away_fills_no_journal(probes: int) -> None:
    assert sum(breaker.is_told(one) for one in range(1, probes + 1)) <= 5 + probes / 720


FACTS = st.builds(
    link.Facts,
    mode=st.sampled_from(["online", "degraded", "offline", "recovering", "maintenance"]),
    breaker=st.sampled_from([CLOSED, breaker.opened("no answer", NOW)]),
    recent=st.lists(st.one_of(st.just(link.FAILED), st.floats(0, 60_000)), max_size=link.WINDOW),
    failures=st.integers(0, 1000),
    last_error_code=st.sampled_from(["", "frozen", "no_reply"]),
    restarted_at=st.sampled_from([None, NOW, NOW - timedelta(hours=1)]),
    clock_offset_s=st.one_of(st.none(), st.floats(-1e6, 1e6)),
)


@given(FACTS)
def test_a_score_is_never_below_nothing_and_every_point_has_its_cause(facts: link.Facts) -> None:
    found = link.deductions(facts, NOW)
    assert 0 <= sum(one["points"] for one in found) <= 100
    assert all(one["cause"] and one["points"] > 0 for one in found)


def test_the_figures_are_those_of_the_last_requests() -> None:
    recent: list[float] = []
    for took_ms in range(1, 101):
        recent = link.remember(recent, took_ms / 1000)
    assert len(recent) == link.WINDOW
    assert link.latency_ms(recent) == {"p50": 70.0, "p95": 97.0}
    for _ in range(15):
        recent = link.remember(recent, None)
    assert link.error_rate(recent) == 0.25
    assert link.latency_ms([]) == {"p50": None, "p95": None} and link.error_rate([]) is None


# --- with a robot -----------------------------------------------------------------------------------------------------
def link_of(client: Any, slug: str = "oht-01") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/robots/{slug}/link/").json()
    return found


def rows(prefix: str) -> list[str]:
    return list(JournalEntry.objects.filter(verb__startswith=prefix).order_by("pk").values_list("verb", flat=True))


def test_a_healthy_link_is_told_in_figures(api: Any, robots: Any) -> None:
    robots()
    told = link_of(api("bob"))
    assert (told["mode"], told["score"], told["deductions"]) == ("online", 100, [])
    assert told["breaker"] == {"state": "closed", "reason": None, "next_probe_at": None, "opened_at": None, "probes": 0}
    assert 0 < told["latency_ms"]["p50"] <= told["latency_ms"]["p95"]
    assert (told["error_rate"], told["consecutive_failures"], told["last_error"]) == (0.0, 0, None)
    assert told["last_success_at"] and abs(told["clock_offset_s"]) < 2


@pytest.mark.parametrize("fault", ["refuse", "hang"])
def test_it_opens_on_a_silent_robot_and_closes_by_a_probe(api: Any, robots: Any, polling: Any, fault: str) -> None:
    _, simulator = robots()
    polling()
    simulator.fault(fault)
    bob = api("bob")
    until(lambda: link_of(bob)["breaker"]["state"] != "closed", timeout_s=20)
    told = link_of(bob)
    assert told["breaker"]["next_probe_at"] and told["breaker"]["reason"] and told["mode"] in ("degraded", "offline")
    assert told["score"] == 100 - sum(one["points"] for one in told["deductions"]) < 60
    assert "The circuit breaker is open." in [one["cause"] for one in told["deductions"]]

    refused = api("alice").send("oht-01", "move", {"target_m": 30})
    assert (refused.status_code, refused.json()["code"]) == (503, "circuit_open")
    assert "until a probe is answered" in refused.json()["detail"] and not Command.objects.exists()
    document = bob.get("/api/v1/robots/oht-01/state/").json()
    assert document["link"]["breaker"]["state"] in ("open", "half_open")

    simulator.clear()
    until(lambda: link_of(bob)["mode"] == "online", timeout_s=20)
    assert link_of(bob)["breaker"]["state"] == "closed"
    told_rows = rows("breaker.")
    assert told_rows[0] == "breaker.opened" and told_rows[-1] == "breaker.closed"
    assert set(told_rows[1:-1]) <= {"breaker.probed"}


def test_while_it_is_open_the_robot_is_asked_for_its_state_only_and_seldom(robots: Any, polling: Any) -> None:
    robot, simulator = robots()
    polling()
    simulator.fault("error")  # it is there, and says no to everything: that is not silence
    until(lambda: RobotState.objects.get(robot=robot).failures > breaker.OPENS_AFTER_FAILURES, timeout_s=20)
    assert RobotState.objects.get(robot=robot).breaker_opened_at is None
    simulator.clear()
    simulator.fault("refuse")
    until(lambda: RobotState.objects.get(robot=robot).breaker_probes >= 3, timeout_s=30)
    row = RobotState.objects.get(robot=robot)
    assert row.breaker_opened_at and row.next_probe_at and row.last_attempt_at
    assert row.next_probe_at - row.last_attempt_at >= timedelta(seconds=3)


def test_stop_is_never_behind_it_and_a_standing_stop_keeps_its_pace(api: Any, robots: Any, polling: Any) -> None:
    robot, simulator = robots()
    polling()
    simulator.fault("refuse")
    until(lambda: RobotState.objects.get(robot=robot).breaker_probes >= 2, timeout_s=30)
    result = api("bob").post("/api/v1/robots/oht-01/stop/", {}, format="json").json()["results"][0]
    assert result["status"] == "not_confirmed" and result["attempts"] >= 1
    attempts = RobotState.objects.get(robot=robot).stop_attempts
    until(lambda: RobotState.objects.get(robot=robot).stop_attempts >= attempts + 3, timeout_s=12)
    simulator.clear()
    until(lambda: RobotState.objects.get(robot=robot).stop_status == "confirmed", timeout_s=12)
    assert simulator.truth()["state"] == "ESTOP"


def test_resetting_it_needs_a_right_and_has_the_robot_asked_at_once(api: Any, robots: Any) -> None:
    robot, _ = robots()
    RobotState.objects.filter(robot=robot).update(
        breaker_opened_at=NOW, breaker_reason="no answer", breaker_probes=9, next_probe_at=NOW, failures=9
    )
    url = "/api/v1/robots/oht-01/link/reset/"
    for name, status in ((None, 401), ("charlie", 404), ("bob", 403), ("alice", 403)):
        assert api(name).post(url, {}, format="json").status_code == status
    assert RobotState.objects.get(robot=robot).breaker_opened_at is not None
    answer = api("erin").post(url, {"reason": "cable replaced"}, format="json")
    assert (answer.status_code, answer.json()["breaker"]["state"]) == (200, "closed")
    assert (answer.json()["mode"], answer.json()["consecutive_failures"]) == ("degraded", 9)  # nothing has answered yet
    entry = JournalEntry.objects.get(verb="breaker.closed")
    assert (entry.reason, entry.data["probes"]) == ("cable replaced", 9)
    assert api("erin").post(url, {"reason": 5 * "long" * 200}, format="json").status_code == 400


def test_a_connection_is_tested_step_by_step_by_who_may_configure(api: Any, robots: Any) -> None:
    robots()
    url = "/api/v1/robots/oht-01/link/test/"
    for name, status in ((None, 401), ("charlie", 404), ("bob", 403), ("alice", 403)):
        assert api(name).post(url, {}, format="json").status_code == status
    told = api("erin").post(url, {}, format="json").json()
    assert told["ok"] and told["machine_state"] == "idle"
    assert {"TCP", "HTTP"} <= {step["name"] for step in told["steps"]}
    assert all(step["words"] for step in told["steps"])
    assert JournalEntry.objects.filter(verb="robot.probed", robot="oht-01").count() == 1


def test_who_may_not_see_a_robot_learns_nothing_of_its_link(api: Any, robots: Any) -> None:
    robots()
    assert api(None).get("/api/v1/robots/oht-01/link/").status_code == 401
    assert api("charlie").get("/api/v1/robots/oht-01/link/").status_code == 404
    assert api("bob").get("/api/v1/robots/oht-01/link/").status_code == 200
