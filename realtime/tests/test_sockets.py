"""The WebSocket protocol against the running product, with a bare client."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from realtime.tests.people import person
from robotctl.tests.fixtures import until
from robotctl.tests.system import System

pytestmark = pytest.mark.system


class Socket:
    """Frames as they come, and the last of each kind."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[dict[str, Any]] = []

    def send(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def wait_for(self, check: Callable[[dict[str, Any]], bool], timeout_s: float = 8.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"not among {[(f['type'], f.get('topic')) for f in self.frames]}"
            try:
                frame = json.loads(self.connection.recv(timeout=left))
            except TimeoutError:
                continue
            self.frames.append(frame)
            if check(frame):
                return dict(frame)

    def wait_for_type(self, kind: str, **content: Any) -> dict[str, Any]:
        return self.wait_for(
            lambda frame: frame["type"] == kind and all(frame.get(key) == value for key, value in content.items())
        )

    def closed(self, timeout_s: float = 8.0) -> int:
        """The code that the server closed with."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.connection.recv(timeout=max(0.01, deadline - time.monotonic()))
            except ConnectionClosed as over:
                return over.rcvd.code if over.rcvd else 1006


def url(system: System, path: str = "/ws/", ticket: str | None = None) -> str:
    return f"ws://127.0.0.1:{system.port}{path}" + (f"?ticket={ticket}" if ticket else "")


def ticket(system: System, who: str) -> str:
    return str(system.call(who, "POST", "auth/ws-ticket/").json()["ticket"])


@contextmanager
def opened(system: System, who: str, path: str = "/ws/") -> Iterator[Socket]:
    with connect(url(system, path, ticket(system, who))) as connection:
        socket = Socket(connection)
        hello = socket.wait_for_type("hello")
        assert hello["user"] == who
        assert hello["heartbeat_s"] > 0
        assert hello["server_time"].endswith("Z")
        yield socket


def test_subscribing_answers_with_rights_and_the_whole_state_and_then_what_changes(system: System) -> None:
    with opened(system, "operator") as socket:
        socket.send(type="subscribe", topics=["robot.oht-01"])
        subscribed = socket.wait_for_type("subscribed")
        assert subscribed["topics"] == ["robot.oht-01"]
        assert "robot.command" in subscribed["rights"]["robot.oht-01"]
        snapshot = socket.wait_for_type("snapshot", topic="robot.oht-01")
        assert snapshot["data"]["robot"] == "oht-01"
        assert snapshot["data"]["simulated"] is True
        state = socket.wait_for(lambda frame: frame["type"] == "state" and frame["seq"] > snapshot["seq"])
        assert set(snapshot["data"]) == set(state["data"])  # always the whole document


def test_a_command_is_seen_on_the_socket_as_state_and_as_events_in_order(system: System) -> None:
    with opened(system, "viewer") as socket:
        socket.send(type="subscribe", topics=["robot.oht-02"])
        socket.wait_for_type("snapshot", topic="robot.oht-02")
        position = system.state("oht-02")["readings"]["position_m"]["value"]
        assert system.command("operator", "oht-02", "move", target_m=position + 1).json()["status"] == "confirmed"
        socket.wait_for(lambda frame: frame["type"] == "state" and frame["data"]["machine_state"]["value"] == "moving")
        socket.wait_for_type("event", verb="command.done")
        events = [frame for frame in socket.frames if frame["type"] == "event"]
        assert [frame["id"] for frame in events] == sorted({frame["id"] for frame in events})
        assert {"command.accepted", "command.confirmed", "command.done"} <= {frame["verb"] for frame in events}
        assert all("address" not in frame for frame in events)


def test_the_fleet_is_one_tile_for_each_robot(system: System) -> None:
    with opened(system, "viewer", "/ws/telemetry") as socket:
        for slug in ("oht-01", "oht-02", "oht-03"):
            tile = socket.wait_for_type("snapshot", topic=f"tile.{slug}") if slug == "oht-01" else None
            assert tile is None or "commands" not in tile["data"]
        topics = {frame["topic"] for frame in socket.frames if frame["type"] == "snapshot"}
        assert topics <= {"tile.oht-01", "tile.oht-02", "tile.oht-03"}


def test_events_are_replayed_from_where_the_client_left_off_each_once(system: System) -> None:
    with opened(system, "admin") as socket:
        socket.send(type="subscribe", topics=["journal"], resume_from=0)
        first = socket.wait_for(lambda frame: frame["type"] == "event")
        system.call("viewer", "PATCH", "robots/oht-01/", {"name": "x"})
        last = socket.wait_for(
            lambda frame: frame["type"] == "event" and frame["verb"] == "access.denied" and frame["id"] > first["id"]
        )
    system.call("viewer", "PATCH", "robots/oht-01/", {"name": "x"})
    with opened(system, "admin") as socket:
        socket.send(type="subscribe", topics=["journal"], resume_from=last["id"])
        missed = socket.wait_for(lambda frame: frame["type"] == "event" and frame["verb"] == "access.denied")
        assert missed["id"] > last["id"]
        assert all(frame["id"] > last["id"] for frame in socket.frames if frame["type"] == "event")


def test_a_ticket_opens_one_socket_once_and_a_stranger_none(system: System) -> None:
    once = ticket(system, "viewer")
    with connect(url(system, ticket=once)) as connection:
        Socket(connection).wait_for_type("hello")
    for bad in (once, "made-up", None):
        with connect(url(system, ticket=bad)) as connection:
            assert Socket(connection).closed() == 4401
    here = f"127.0.0.1:{system.port}"
    for origin, code in (
        (f"http://{here}", 4401), ("http://evil.example", 4403), (f"https://{here}", 4403), ("http://127.0.0.1:1", 4403)
    ):  # fmt: skip
        with connect(url(system), origin=Origin(origin)) as connection:
            assert Socket(connection).closed() == code, origin


def test_an_address_without_a_socket_is_closed_with_a_code(system: System) -> None:
    with connect(url(system, "/ws/nowhere")) as connection:
        assert Socket(connection).closed() == 4404


def test_a_topic_that_one_may_not_see_looks_like_one_that_is_not_there(system: System) -> None:
    with opened(system, "viewer") as socket:
        socket.send(type="subscribe", topics=["journal", "robot.nowhere", "nonsense"])
        errors = [socket.wait_for_type("error") for _ in range(3)]
        assert {error["code"] for error in errors} == {"not_found"}


@pytest.mark.parametrize(
    "text",
    ["{broken", "[]", '{"type":"fly"}', '{"type":"subscribe"}', '{"type":"subscribe","topics":[1]}', "x" * 20_000],
)
def test_wrong_input_gets_an_error_and_the_socket_lives(system: System, text: str) -> None:
    with opened(system, "viewer") as socket:
        socket.connection.send(text)
        assert socket.wait_for_type("error")["code"] == "bad_message"
        socket.send(type="ping", id=7)
        assert socket.wait_for_type("pong")["id"] == 7


def test_repeated_wrong_input_ends_the_socket(system: System) -> None:
    with opened(system, "viewer") as socket:
        for _ in range(25):
            socket.connection.send("{broken")
        assert socket.closed() == 4429


def test_signing_out_closes_the_sockets_of_that_token_within_a_second(system: System) -> None:
    with opened(system, "auditor") as socket:
        socket.send(type="subscribe", topics=["fleet"])
        socket.wait_for_type("subscribed")
        began = time.monotonic()
        assert system.call("auditor", "POST", "auth/logout/").status_code == 200
        del system.tokens["auditor"]
        assert socket.closed() == 4401
        assert time.monotonic() - began < 3


def test_signing_out_everywhere_and_a_duty_close_the_sockets_within_a_second(system: System) -> None:
    """4401: signed out. 4403: still signed in, but there is something to do first."""
    who = person(system)
    who.change_password("seven-otters-paint-clocks")
    for act, code in (
        (lambda: who.call("POST", "auth/sign-out-everywhere/", who.token()), 4401),
        (who.must_change_password, 4403),
    ):
        bought = who.call("POST", "auth/ws-ticket/", who.token()).json()["ticket"]
        with opened(system, "viewer") as bystander, connect(url(system, ticket=bought)) as connection:
            socket = Socket(connection)
            socket.wait_for_type("hello")
            act()
            done = time.monotonic()
            assert socket.closed() == code
            assert time.monotonic() - done < 1
            bystander.send(type="ping", id=1)
            assert bystander.wait_for_type("pong")["id"] == 1
    refused = who.call("POST", "auth/ws-ticket/", who.token())
    assert refused.json()["code"] == "password_change_required"


def test_the_bus_can_go_and_come_back_and_states_still_arrive(system: System) -> None:
    import os
    import signal

    with opened(system, "viewer") as socket:
        socket.send(type="subscribe", topics=["robot.oht-03"])
        before = socket.wait_for_type("snapshot", topic="robot.oht-03")
        (bus,) = system.pids("unixsocket")
        os.kill(bus, signal.SIGKILL)
        socket.wait_for(lambda frame: frame["type"] == "state" and frame["seq"] > before["seq"] + 2)
        until(lambda: system.pids("unixsocket") not in ([], [bus]), timeout_s=20)
        socket.frames.clear()
        socket.wait_for(lambda frame: frame["type"] == "state" and len(socket.frames) > 3)


def test_what_a_socket_is_refused_is_in_the_journal(system: System) -> None:
    def told(**query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = system.call("auditor", "GET", f"journal/?{urlencode(query)}").json()["results"]
        return rows

    with connect(url(system, ticket="made-up")) as connection:
        assert Socket(connection).closed() == 4401
    assert told(verb="access.unauthenticated")[0]["address"] == "127.0.0.1"
    with opened(system, "viewer") as socket:
        socket.send(type="subscribe", topics=["journal", "robot.nowhere", "nonsense"])
        socket.wait_for_type("error", topic="robot.nowhere")
        until(lambda: told(target="WS subscribe journal", actor="viewer"))
    assert not told(target="WS subscribe robot.nowhere") and not told(target="WS subscribe nonsense")
