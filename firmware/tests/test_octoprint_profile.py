"""What the profile language needed for OctoPrint: nothing to read, values with a time of their own, motion nobody can see."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from firmware import profile
from firmware.client import RobotClient
from firmware.errors import BadProfile, Rejected


@pytest.fixture
def answering() -> Iterator[Callable[[int, Any], RobotClient]]:
    """`answering(409, {…})`: OctoPrint's profile before a server that always answers so."""
    servers: list[HTTPServer] = []

    def start(status: int, body: Any) -> RobotClient:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                payload = msgspec.json.encode(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        base_url = f"http://127.0.0.1:{servers[-1].server_port}"
        return RobotClient(slug="x", base_url=base_url, profile=profile.load("octoprint"), credentials={})

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def temperatures(taken_at: Any) -> dict[str, Any]:
    return {"temperature": {"tool0": {"actual": 21.3, "target": 0.0}, "history": [{"time": taken_at}]}}


def test_only_the_statuses_that_a_read_names_mean_that_there_is_nothing_to_read(answering: Any) -> None:
    client = answering(409, {"error": "Printer is not operational"})
    assert client.read("printer").values == {}
    with pytest.raises(Rejected, match="Printer is not operational"):
        client.read("job")


@pytest.mark.parametrize("offset_s", [-30.0, 3600.0])
def test_values_are_as_old_as_the_robot_says_and_never_younger_than_their_read(answering: Any, offset_s: float) -> None:
    asked_at = time.time()
    seen = answering(200, temperatures(asked_at + offset_s)).read("printer")
    assert seen.values == {"tool_c": 21.3, "tool_target_c": 0.0}
    expected = asked_at if offset_s > 0 else asked_at + offset_s
    assert seen.began_at == pytest.approx(expected, abs=0.5)


def test_a_robot_whose_clock_stands_at_zero_gives_no_young_values(answering: Any) -> None:
    assert answering(200, temperatures(0)).read("printer").began_at == 0


@pytest.mark.parametrize("taken_at", [None, "yesterday", True])
def test_values_whose_time_is_not_told_are_no_readings(answering: Any, taken_at: Any) -> None:
    assert answering(200, temperatures(taken_at)).read("printer").values == {}


@pytest.mark.parametrize(("error", "expected"), [
    ("Closing serial port due to emergency stop M112.", "estopped"),
    ("Too many consecutive timeouts, printer still connected and alive?", "fault"),
    (None, "fault"),
    (112, None),  # not a text: nothing is known, and nothing breaks
])  # fmt: skip
def test_only_an_error_that_names_m112_reads_stopped(answering: Any, error: Any, expected: str | None) -> None:
    seen = answering(200, {"state": "Offline after error", "error": error}).read("job")
    assert seen.values.get("machine_state") == expected


def test_a_word_that_nobody_foresaw_reads_unknown(answering: Any) -> None:
    assert answering(200, {"state": {"text": "Levitating"}}).read("live").values["machine_state"] == "unknown"
    assert "machine_state" not in answering(200, {"state": "Levitating"}).read("job").values  # `live` says what it is


@pytest.mark.parametrize(("line", "changed", "key"), [
    ("observable = false", "", "commands.home.confirm"),  # forgotten is not the same as impossible
    ("confirm_within_s = 20.0", "observable = false", "commands.connect.observable"),
    ("absent = [409]", "absent = [403]", "reads.printer.absent"),  # a refusal is never "nothing to read"
    ("temperature.history[-1].time", "temperature.history[", "reads.printer.taken_at"),
])  # fmt: skip
def test_a_profile_that_contradicts_itself_is_refused_by_key(line: str, changed: str, key: str) -> None:
    text = (profile.SHIPPED / "octoprint.toml").read_text()
    assert line in text
    with pytest.raises(BadProfile) as refused:
        profile.parse(text.replace(line, changed), "octoprint.toml")
    told = [fault.key for fault in profile.examine(text.replace(line, changed))[1]]
    assert refused.value.key == told[0]
    assert any(found.startswith(key) for found in told)
