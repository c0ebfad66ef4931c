"""What a newcomer sees: the whole product over HTTP, with robots that freeze, thaw, die and come back."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import pytest
import requests

from robotctl.tests.fixtures import until
from robotctl.tests.system import ROOT, System

pytestmark = pytest.mark.system


def modes(system: System) -> dict[str, str]:
    return {entry["slug"]: system.state(entry["slug"])["mode"] for entry in system.demo}


def simulator(system: System, index: int) -> int:
    (pid,) = system.pids(f"--port {system.demo[index]['port']} ")
    return pid


def events(system: System, slug: str) -> list[str]:
    rows = system.call("admin", "GET", f"journal/?robot={slug}&page_size=200").json()["results"]
    return [row["verb"] for row in rows]


def test_three_robots_are_live_within_seconds_and_everything_is_ready(system: System) -> None:
    until(lambda: set(modes(system).values()) == {"online"}, timeout_s=15)
    until(lambda: requests.get(f"{system.url}/health/ready", timeout=5).json()["status"] == "ready", timeout_s=45)


def test_a_move_moves_and_a_stop_stops_by_the_robots_own_account(system: System) -> None:
    started = system.command("operator", "oht-01", "move", target_m=60, speed_mps=1.5).json()
    assert started["status"] == "confirmed", started["detail"]
    before = system.control(0)["robots"][0]["position_m"]
    result = system.call("viewer", "POST", "robots/oht-01/stop/", {"reason": "test"}).json()["results"][0]
    assert result["status"] == "confirmed"
    truth = system.control(0)["robots"][0]
    assert truth["state"] == "ESTOP"
    assert truth["position_m"] >= before
    assert system.state("oht-01")["stop"]["latched"]
    assert (
        system.call("engineer", "POST", "robots/oht-01/stop/reset/", {"reason": "test over"}).json()["status"]
        == "confirmed"
    )


def test_a_frozen_robot_keeps_its_last_state_grows_old_and_thaws(system: System) -> None:
    pid = simulator(system, 1)
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: system.state("oht-02")["mode"] == "offline", timeout_s=20)
        shown = system.state("oht-02")
        assert shown["machine_state"]["value"] == "idle"
        assert shown["machine_state"]["quality"] == "stale"
        assert shown["machine_state"]["age_s"] > 8
        until(lambda: "robot.offline" in events(system, "oht-02"), timeout_s=10)
        assert modes(system)["oht-01"] == modes(system)["oht-03"] == "online"
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: system.state("oht-02")["mode"] == "online", timeout_s=15)
    assert {"robot.degraded", "robot.offline", "robot.online"} <= set(events(system, "oht-02"))


def test_a_killed_simulator_is_started_again_and_both_are_told(system: System) -> None:
    pid = simulator(system, 2)
    os.kill(pid, signal.SIGKILL)
    until(lambda: "robot.restarted" in events(system, "oht-03"), timeout_s=25)
    until(lambda: system.state("oht-03")["mode"] == "online", timeout_s=15)
    assert simulator(system, 2) != pid
    assert system.state("oht-03")["link"]["restarted_at"] is not None


@pytest.mark.parametrize("name", ["manage.py poll", "daphne", "celery"])
def test_a_killed_process_of_ours_is_started_again(system: System, name: str) -> None:
    before = system.pids(name)
    assert before
    os.kill(before[0], signal.SIGKILL)

    def live() -> bool:
        try:
            fresh = [pid for pid in system.pids(name) if pid not in before]
            return bool(fresh) and len(system.pids(name)) == len(before) and set(modes(system).values()) == {"online"}
        except (requests.RequestException, KeyError):
            return False

    until(live, timeout_s=40, every_s=0.3)


def owners(system: System) -> set[str]:
    """Which poll processes hold the robots, by pid."""
    with closing(sqlite3.connect(f"file:{system.var}/robotctl.sqlite3?mode=ro", uri=True)) as database:
        return {owner.rpartition(":")[2] for (owner,) in database.execute("SELECT owner FROM firmware_polllease")}


def all_online(system: System) -> bool:
    return set(modes(system).values()) == {"online"}


def test_two_poll_processes_share_the_robots_and_one_takes_over_from_one_that_was_killed(system: System) -> None:
    (first,) = system.pids("manage.py poll")
    until(lambda: owners(system) == {str(first)}, timeout_s=30, tell=lambda: (first, owners(system)))
    environment = os.environ | {"ROBOTCTL_VAR": str(system.var), "TESTING": "false"}
    said = system.var / "log" / "second-poll.log"
    with said.open("wb") as log:
        second = subprocess.Popen([sys.executable, "manage.py", "poll"], cwd=ROOT, env=environment, stderr=log)
    try:
        both = {str(first), str(second.pid)}
        until(
            lambda: owners(system) == both and all_online(system),
            timeout_s=30,
            tell=lambda: (both, owners(system), modes(system), second.poll(), said.read_text()[-2000:]),
        )
    finally:
        second.kill()
        second.wait()
    until(
        lambda: owners(system) == {str(first)} and all_online(system),
        timeout_s=30,
        tell=lambda: (first, owners(system), modes(system)),
    )


def test_every_response_carries_its_request_id_and_a_policy(system: System) -> None:
    page = requests.get(f"{system.url}/sign-in/", timeout=10)
    assert page.headers["X-Request-ID"]
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"


def test_the_api_describes_itself(system: System) -> None:
    schema = requests.get(f"{system.url}/api/schema/?format=json", timeout=20)
    if schema.status_code == 401:
        schema = system.call("viewer", "GET", "../schema/?format=json")
    paths: dict[str, Any] = schema.json()["paths"]
    for path in ("/api/v1/robots/{slug}/state/", "/api/v1/stop/", "/api/v1/commands/{id}/"):
        assert path in paths


def test_secrets_and_passwords_are_in_no_log(system: System) -> None:
    time.sleep(0.5)
    for path in (system.var / "log").glob("*.log"):
        text = path.read_text(errors="replace")
        assert system.password not in text, path
        assert "oht50_admin_token_2025" not in text, path
        assert not any(token in text for token in system.tokens.values()), path
