"""The stop button with everything behind it frozen: the robot reads stopped, and the journal has it afterwards."""

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from realtime.tests.test_sockets import opened
from robotctl.tests.fixtures import until
from robotctl.tests.system import System, free_port, start

pytestmark = pytest.mark.system
ANSWER_WITHIN_S = 4.0


def ticket(system: System, who: str = "viewer") -> str:
    found: str = system.call(who, "POST", "auth/stop-ticket/").json()["ticket"]
    return found


def press(system: System, path: str, given: str) -> tuple[dict[str, Any], float]:
    """The first robot's result, and how long the answer took (s). No other credential is sent."""
    began = time.monotonic()
    answer = requests.post(
        f"{system.url}/api/v1/{path}", json={"reason": "hand"}, headers={"X-Stop-Ticket": given}, timeout=20
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0], time.monotonic() - began


def rows(system: System, verb: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = system.call("admin", "GET", f"journal/?verb={verb}&page_size=100").json()["results"]
    return found


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def locked(system: System) -> Iterator[None]:
    database = sqlite3.connect(system.var / "robotctl.sqlite3", timeout=20, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


def others(system: System) -> list[int]:
    """Bus, worker, scheduler and poll process: all but web and robots."""
    return [pid for words in ("valkey", "celery", "poll") for pid in system.pids(words)]


def moving(system: System, index: int = 0) -> None:
    unlatched(system, index)
    target = 90 if system.control(index)["robots"][0]["position_m"] < 50 else 5
    moved = system.command("operator", system.demo[index]["slug"], "move", target_m=target, speed_mps=1.0).json()
    assert moved.get("status") == "confirmed", moved


def unlatched(system: System, index: int) -> None:
    slug = system.demo[index]["slug"]
    if system.state(slug)["stop"]["latched"]:
        done = system.call("engineer", "POST", f"robots/{slug}/stop/reset/", {"reason": "next test"}).json()
        assert done["status"] == "confirmed", done


def at_rest(system: System, index: int = 1) -> None:
    """Bring a robot out of whatever the tests before left it in."""
    unlatched(system, index)
    slug = system.demo[index]["slug"]
    if system.control(index)["robots"][0]["state"] == "MOVE":
        system.command("operator", slug, "halt")
    until(lambda: system.control(index)["robots"][0]["speed_mps"] == 0)
    until(lambda: system.state(slug)["machine_state"]["value"] == "idle")


@pytest.fixture(scope="module")
def own() -> Iterator[System]:
    running = start(robots=2)
    until(lambda: {running.state(robot["slug"])["mode"] for robot in running.demo} == {"online"}, timeout_s=30)
    yield running
    assert running.stop() == 0, (running.var / "run.log").read_text()


def test_with_the_database_locked_and_all_else_frozen(own: System) -> None:
    moving(own)
    given = ticket(own)
    with locked(own), frozen(others(own)):
        result, took_s = press(own, "robots/oht-01/stop/", given)
        assert (result["status"], own.control(0)["robots"][0]["state"]) == ("confirmed", "ESTOP")
        assert took_s < ANSWER_WITHIN_S and "not written down yet" in result["detail"]
        assert list((own.var / "spool").glob("*.json")), "it is on the disk"
    until(lambda: own.state("oht-01")["stop"]["latched"], timeout_s=20)
    (row,) = rows(own, "stop.requested")
    assert (row["actor"], row["robot"], row["reason"]) == ("viewer", "oht-01", "hand")
    until(lambda: rows(own, "stop.confirmed"), timeout_s=20)
    until(lambda: not list((own.var / "spool").glob("*.json")))


def test_a_press_survives_the_process_that_took_it(own: System) -> None:
    """Web is killed with -9 between the wire and the record: the journal has the press when the database is back."""
    moving(own, 1)
    given = ticket(own)
    before = len(rows(own, "stop.requested"))
    with locked(own):
        result, _ = press(own, "robots/oht-02/stop/", given)
        assert result["status"] == "confirmed"
        for pid in own.pids("daphne"):
            os.kill(pid, signal.SIGKILL)
    until(lambda: _answers(own), timeout_s=40)
    until(lambda: len(rows(own, "stop.requested")) == before + 1, timeout_s=30)
    row = rows(own, "stop.requested")[0]
    assert (row["robot"], row["actor"]) == ("oht-02", "viewer")
    until(lambda: own.state("oht-02")["stop"]["status"] == "confirmed", timeout_s=20)


def test_what_is_written_down_later_stands_where_it_happened_and_nothing_false_beside_it(own: System) -> None:
    """Twelve seconds without a database, everything else running: the robots answered, and one of them was stopped by us."""
    for index in range(2):
        at_rest(own, index)
    given = ticket(own)
    newest = own.call("admin", "GET", "journal/?page_size=1").json()["results"][0]["id"]
    pressed_at = datetime.now(UTC)
    with locked(own):
        result, _ = press(own, "robots/oht-01/stop/", given)
        assert result["status"] == "confirmed"
        time.sleep(12)
    until(lambda: own.state("oht-01")["stop"]["status"] == "confirmed", timeout_s=30)
    time.sleep(4)  # what was read meanwhile is written, too
    told = [row for row in own.call("admin", "GET", "journal/").json()["results"] if row["id"] > newest]
    (stopped,) = [row for row in told if row["verb"] == "stop.requested"]
    assert stopped["late"] is True
    assert abs(datetime.fromisoformat(stopped["at"]) - pressed_at) < timedelta(seconds=2)
    false = ("robot.state_changed", "robot.offline", "robot.recovering", "breaker.opened")
    assert [row for row in told if row["verb"] in false] == []
    unlatched(own, 0)


def test_a_web_process_that_starts_with_its_database_away_stops_robots(own: System) -> None:
    moving(own)
    given = ticket(own)
    with locked(own):
        for pid in own.pids("daphne"):
            os.kill(pid, signal.SIGKILL)
        until(lambda: _answers(own), timeout_s=40)
        result, _ = press(own, "stop/", given)
        assert result["status"] == "confirmed"
    until(lambda: own.state("oht-01")["stop"]["latched"], timeout_s=30)


def test_a_command_whose_process_is_killed_ends_honestly(own: System) -> None:
    """Web dies with -9 while the robot is thinking: the poll process reads the robot and says what came of it."""
    slug = own.demo[1]["slug"]
    at_rest(own)
    own.control(1, "fault", {"fault": "slow", "value": 2})
    sent = threading.Thread(target=_send_and_lose, args=[own, slug])
    sent.start()
    until(lambda: _last(own, slug)["status"] == "sending", timeout_s=10)
    for pid in own.pids("daphne"):
        os.kill(pid, signal.SIGKILL)
    sent.join()
    own.control(1, "clear", {})
    until(lambda: _answers(own), timeout_s=40)
    ended = until(lambda: (row := _last(own, slug))["ended_at"] and row, timeout_s=20)
    assert ended["status"] in ("confirmed", "outcome_unknown"), ended
    assert "process went away" in ended["detail"] and ended["attempts"] == 1
    moved = own.control(1)["robots"][0]["state"] == "MOVE"
    assert ended["status"] != "confirmed" or moved, "nothing is called confirmed that is not so"


def _send_and_lose(system: System, slug: str) -> None:
    target = 90 if system.control(1)["robots"][0]["position_m"] < 50 else 5
    with contextlib.suppress(requests.RequestException):
        system.command("operator", slug, "move", target_m=target)


def _last(system: System, slug: str) -> dict[str, Any]:
    rows = system.call("viewer", "GET", f"robots/{slug}/commands/?page_size=1").json()["results"]
    return rows[0] if rows else {"status": None, "ended_at": None}


def test_a_poll_process_that_is_killed_amid_a_sequence_sends_nothing_twice(own: System) -> None:
    slug = own.demo[1]["slug"]
    at_rest(own)
    begun = own.control(1)["robots"][0]["by_path"].get("POST /api/v1/motion/segment/start", 0)
    at_m = own.control(1)["robots"][0]["position_m"]
    steps = [{"name": "move", "params": {"target_m": round(at_m + away, 2)}} for away in (1.0, 0.0)]
    key = {"Idempotency-Key": uuid.uuid4().hex}
    path, body = f"robots/{slug}/sequences/", {"steps": steps}
    # A motion whose process was killed in the test before may still be unanswered: until it is known, there is no other.
    answer = until(
        lambda: (one := own.call("operator", "POST", path, body, **key)).status_code == 201 and one, timeout_s=130
    )
    made = answer.json()
    until(lambda: _last(own, slug)["status"] == "confirmed")
    for pid in own.pids("manage.py poll"):
        os.kill(pid, signal.SIGKILL)
    until(
        lambda: (one := own.call("viewer", "GET", f"sequences/{made['id']}/").json())["ended_at"] and one, timeout_s=40
    )
    ended = own.call("viewer", "GET", f"sequences/{made['id']}/").json()
    sent = own.control(1)["robots"][0]["by_path"].get("POST /api/v1/motion/segment/start", 0) - begun
    assert (ended["status"], sent) == ("done", 2) or (ended["code"] == "not_watched" and sent == 1), (ended, sent)


def test_a_bus_that_is_killed_amid_a_command_costs_neither_the_command_nor_its_story(own: System) -> None:
    slug = own.demo[1]["slug"]
    at_rest(own)
    own.control(1, "fault", {"fault": "slow", "value": 1})
    target = 90 if own.control(1)["robots"][0]["position_m"] < 50 else 5
    with opened(own, "viewer") as line:
        line.send(type="subscribe", topics=[f"robot.{slug}"])
        line.wait_for_type("snapshot", topic=f"robot.{slug}")
        sent = threading.Thread(target=_send_and_lose, args=[own, slug])
        sent.start()
        until(lambda: _last(own, slug)["status"] == "sending", timeout_s=10)
        for pid in own.pids("unixsocket"):
            os.kill(pid, signal.SIGKILL)
        sent.join()
        own.control(1, "clear", {})
        ended = until(lambda: (row := _last(own, slug))["ended_at"] and row, timeout_s=20)
        assert ended["status"] == "confirmed" and ended["params"]["target_m"] == target, ended
        told = line.wait_for(lambda f: f["type"] == "event" and f["verb"] == "command.confirmed", timeout_s=10)
        assert told["data"]["command"] == ended["id"]
    own.command("operator", slug, "halt")


def test_who_is_signed_out_has_no_ticket_any_more(own: System) -> None:
    given = ticket(own, "auditor")
    assert requests.post(f"{own.url}/api/v1/stop/", headers={"X-Stop-Ticket": given}, timeout=10).status_code == 200
    own.call("auditor", "POST", "auth/logout/")
    del own.tokens["auditor"]

    def refused() -> bool:
        answer = requests.post(f"{own.url}/api/v1/stop/", headers={"X-Stop-Ticket": given}, timeout=10)
        return answer.status_code == 401

    until(refused, timeout_s=12)


def _answers(system: System) -> bool:
    try:
        return requests.get(f"{system.url}/health/live", timeout=2).ok
    except requests.RequestException:
        return False


# --- PostgreSQL, a cluster of our own, frozen -------------------------------------------------------------------------
@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """(its URL, the pid of its first process)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    programs = found[-1].parent if found else Path(shutil.which("initdb") or "/nowhere/initdb").parent
    if not (programs / "initdb").exists():
        assert not os.environ.get("CI"), "PostgreSQL's initdb is not installed"
        pytest.skip("PostgreSQL's initdb is not installed")
    folder = Path("/tmp") / f"robotctl-pg-{os.getpid()}"
    who = "postgres" if os.getuid() == 0 else None  # it does not run as root
    folder.mkdir()
    if who:
        shutil.chown(folder, who)
    data, port = str(folder / "data"), free_port()
    subprocess.run(
        [str(programs / "initdb"), "-D", data, "-U", "robotctl", "--auth=trust", "-N"],
        check=True,
        user=who,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    options = ["-D", data, "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    log = (folder / "log").open("wb")
    server = subprocess.Popen([str(programs / "postgres"), *options], user=who, stdout=log, stderr=log)
    log.close()
    until(lambda: _listens(port), timeout_s=30)
    yield f"postgres://robotctl@127.0.0.1:{port}/postgres", server.pid
    server.send_signal(signal.SIGQUIT)  # at once: nobody wants the data
    server.wait(20)
    shutil.rmtree(folder)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_with_postgresql_and_the_bus_frozen(cluster: tuple[str, int]) -> None:
    url, pid = cluster
    system = start(robots=1, DATABASE_URL=url)
    try:
        until(lambda: system.state("oht-01")["mode"] == "online", timeout_s=30)
        moving(system)
        given = ticket(system)
        postgres = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        with frozen(postgres), frozen(others(system)):
            result, took_s = press(system, "stop/", given)
            assert (result["status"], system.control(0)["robots"][0]["state"]) == ("confirmed", "ESTOP")
            assert took_s < ANSWER_WITHIN_S
        until(lambda: rows(system, "stop.confirmed"), timeout_s=30)
        (row,) = rows(system, "stop.requested")
        assert (row["actor"], row["robot"]) == ("viewer", "oht-01")
    finally:
        assert system.stop() == 0, (system.var / "run.log").read_text()
