"""Rights that change are in force on open sockets within a second, with nobody there to ring for the end of a grant."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from realtime.tests.test_sockets import opened
from robotctl.tests.system import System

pytestmark = pytest.mark.system
WITHIN_S = 1.0


@pytest.fixture
def guest(system: System) -> str:
    """Somebody who may see no robot yet."""
    name = f"guest-{uuid.uuid4().hex[:8]}"
    body = {"username": name, "password": system.password, "role": "guest"}
    assert system.call("admin", "POST", "users/", body).status_code == 201
    return name


def grant(system: System, user: str, **more: Any) -> int:
    body = {"user": user, "role": "operator", "reason": "test", **more}
    return int(system.call("admin", "POST", "robots/oht-02/access/", body).json()["id"])


def test_a_grant_that_ends_closes_the_socket_by_itself(system: System, guest: str) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=4)
    grant(system, guest, until=ends.isoformat())
    with opened(system, guest) as line:
        line.send(type="subscribe", topics=["robot.oht-02"])
        assert "robot.command" in line.wait_for_type("subscribed")["rights"]["robot.oht-02"]
        assert line.closed(timeout_s=10) == 4403
        assert 0 <= time.time() - ends.timestamp() < WITHIN_S


def test_a_grant_that_begins_shows_the_robot_by_itself(system: System, guest: str) -> None:
    begins = datetime.now(UTC) + timedelta(seconds=3)
    grant(system, guest, **{"from": begins.isoformat()})
    with opened(system, guest) as line:
        line.send(type="subscribe", topics=["fleet"])
        line.wait_for_type("subscribed")
        line.wait_for_type("snapshot", topic="tile.oht-02")
        assert -0.1 <= time.time() - begins.timestamp() < WITHIN_S


def test_alerts_are_for_who_may_see_them_on_some_robot_and_of_those_robots_only(system: System, guest: str) -> None:
    def ask(line: Any, topic: str) -> bool:
        line.send(type="subscribe", topics=[topic])
        return topic in line.wait_for_type("subscribed")["topics"]

    with opened(system, guest) as line:
        assert not ask(line, "alerts")
        assert line.wait_for_type("error")["code"] == "not_found"
        assert not ask(line, "alert.oht-02")
        given = grant(system, guest)
        assert ask(line, "alerts")
        assert ask(line, "alert.oht-02")
        assert not ask(line, "alert.oht-01")
        assert system.call("admin", "DELETE", f"robots/oht-02/access/{given}/").status_code == 204
        assert line.closed(timeout_s=WITHIN_S) == 4403
    with opened(system, "viewer") as line:
        assert ask(line, "alerts")


@pytest.mark.parametrize(("change", "code"), [({"is_active": False}, 4401), ({"role": "guest"}, 4403)])
def test_a_change_of_the_person_is_in_force_within_a_second(
    change: dict[str, Any], code: int, system: System, guest: str
) -> None:
    assert system.call("admin", "PATCH", f"users/{guest}/", {"role": "operator"}).status_code == 200
    with opened(system, guest) as line:
        line.send(type="subscribe", topics=["robot.oht-02"])
        line.wait_for_type("snapshot", topic="robot.oht-02")
        began = time.monotonic()
        assert system.call("admin", "PATCH", f"users/{guest}/", change).status_code == 200
        assert line.closed() == code
        assert time.monotonic() - began < WITHIN_S
    expected = 401 if code == 4401 else 404
    assert system.call(guest, "GET", "robots/oht-02/state/").status_code == expected


def test_a_role_that_changes_takes_a_right_from_an_open_socket(system: System, guest: str) -> None:
    name = f"carrier-{uuid.uuid4().hex[:6]}"
    body = {"name": name, "title": "Carrier", "parent": "viewer", "permissions": ["robot.command", "robot.jog"]}
    assert system.call("admin", "POST", "roles/", body).status_code == 201
    system.call("admin", "PATCH", f"users/{guest}/", {"role": name})
    with opened(system, guest) as line:
        line.send(type="subscribe", topics=["robot.oht-02"])
        line.wait_for_type("snapshot", topic="robot.oht-02")
        began = time.monotonic()
        system.call("admin", "PUT", f"roles/{name}/permissions/", {"permissions": ["robot.command"]})
        told = line.wait_for_type("subscribed")
        assert time.monotonic() - began < WITHIN_S
        assert "robot.command" in told["rights"]["robot.oht-02"] and "robot.jog" not in told["rights"]["robot.oht-02"]
