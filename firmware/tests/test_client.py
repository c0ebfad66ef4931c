"""One robot's client: who may go when, and what is made of what the robot says."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from firmware import profile
from firmware.client import RobotClient
from firmware.drainer import drainer
from firmware.errors import BadProfile, Busy, FirmwareError, NoReply, Unreachable
from firmware.simulator import Simulator
from firmware.tests.conftest import MakeClient, ScriptedRobot, http
from firmware.tests.simulator_tools import eventually
from firmware.tests.test_transport import MOVE, STATE, error_of, move

Scripted = Callable[..., ScriptedRobot]
STATE_PATH, MOVE_PATH = "/api/v1/system/state", "/api/v1/motion/segment/start"


def slowly(answer: bytes, wait_s: float) -> Callable[[socket.socket], None]:
    def reply(sock: socket.socket) -> None:
        time.sleep(wait_s)
        sock.sendall(answer)

    return reply


# --- whose turn it is -------------------------------------------------------------------------------------------------
def test_a_robot_gets_one_request_at_a_time(scripted: Scripted, client_for: MakeClient) -> None:
    now, most = [], []

    def count(sock: socket.socket) -> None:
        now.append(1)
        most.append(len(now))
        time.sleep(0.02)
        now.pop()
        sock.sendall(http(STATE))

    client = client_for(scripted(count).url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turn: move(client) if turn % 3 else client.read("state"), range(24)))
    assert len(most) == 24 and max(most) == 1


def test_stop_goes_out_although_the_turn_is_taken(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(slowly(http(STATE), 2.0), http(b'{"success":true}'))
    client = client_for(robot.url, timeout_s=10)
    reader = threading.Thread(target=lambda: client.read("state"))
    reader.start()
    assert eventually(lambda: len(robot.requests) == 1)
    assert client.stop().status == 200
    assert reader.is_alive()
    reader.join()


def test_stop_and_its_read_back_go_out_although_reads_wait_for_an_unanswered_one(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted("hang", http(b'{"success":true}'), http(STATE.replace(b"IDLE", b"ESTOP")))
    client = client_for(robot.url, timeout_s=0.2)
    assert isinstance(error_of(lambda: client.read("state")), NoReply)
    assert type(error_of(lambda: client.read("state"))) is Busy
    assert client.stop().status == 200
    assert client.read("state", urgent=True).values["machine_state"] == "estopped"


def test_a_stop_reaches_todays_firmware_through_a_hanging_read(observed: Simulator, client_for: MakeClient) -> None:
    client = client_for(observed.url, timeout_s=1.0)
    observed.fault("slow", 0.5, path=STATE_PATH)
    reader = threading.Thread(target=lambda: client.read("state"))
    reader.start()
    assert eventually(lambda: observed.truth()["requests"] == 1)
    assert client.stop().status == 200
    reader.join()
    assert observed.truth()["state"] == "ESTOP"


def test_who_does_not_get_a_turn_in_time_is_busy_and_has_sent_nothing(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(slowly(http(STATE), 0.8))
    client = client_for(robot.url, timeout_s=1.0)
    first = threading.Thread(target=lambda: client.read("state"))
    first.start()
    assert eventually(lambda: len(robot.requests) == 1)
    client.profile = msgspec.structs.replace(
        client.profile, transport=msgspec.structs.replace(client.profile.transport, timeout_s=0.2)
    )
    error = error_of(lambda: move(client))
    assert type(error) is Busy and not error.may_have_acted
    first.join()
    assert len(robot.requests) == 1


# --- never late -------------------------------------------------------------------------------------------------------
def test_a_command_past_its_deadline_is_not_sent(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(slowly(http(STATE), 0.5), http(STATE))
    client = client_for(robot.url)
    reader = threading.Thread(target=lambda: client.read("state"))
    reader.start()
    assert eventually(lambda: len(robot.requests) == 1)
    error = error_of(lambda: client.command("move", MOVE, send_by=time.monotonic() + 0.2))
    reader.join()
    assert type(error) is Busy and "deadline" in str(error)
    assert len(robot.requests) == 1


def test_a_command_whose_deadline_passes_while_it_connects_is_not_sent(
    scripted: Scripted, client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = scripted(http(STATE))
    client = client_for(robot.url)
    real = socket.getaddrinfo

    def slow_name_server(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.3)
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow_name_server)
    assert type(error_of(lambda: client.command("move", MOVE, send_by=time.monotonic() + 0.1))) is Busy
    assert robot.requests == []
    assert client._slots.open == 0 and not client.motion_unanswered


def test_a_motion_command_that_waited_while_the_robot_was_told_to_stop_is_not_sent(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(slowly(http(STATE), 0.6), http(b"{}"))
    client, errors = client_for(robot.url), []
    reader = threading.Thread(target=lambda: client.read("state"))
    mover = threading.Thread(target=lambda: errors.append(error_of(lambda: move(client))))
    reader.start()
    assert eventually(lambda: len(robot.requests) == 1)
    mover.start()
    time.sleep(0.1)
    client.stop()
    reader.join()
    mover.join()
    assert type(errors[0]) is Busy and "stop" in str(errors[0])
    assert len(robot.requests) == 2, "the read and the stop"
    assert client.command("halt", {}, send_by=time.monotonic() + 5).status == 200
    assert move(client).status == 200, "a later command is a new decision"


def test_a_motion_request_counts_as_unanswered_from_the_moment_it_is_sent(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(slowly(http(STATE), 0.3))
    client = client_for(robot.url)
    mover = threading.Thread(target=lambda: move(client))
    mover.start()
    assert eventually(lambda: len(robot.requests) == 1)
    while_it_is_out = client.motion_unanswered
    mover.join()
    assert while_it_is_out and not client.motion_unanswered


# --- what cannot be sent at all ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("secret", ["two\nlines", "tab\r\nX: y", "schlüssel€", " lead\u0000ing"])
def test_a_credential_that_no_header_can_carry_is_refused_without_being_told(
    secret: str, client_for: MakeClient
) -> None:
    with pytest.raises(BadProfile) as caught:
        client_for("http://127.0.0.1:1", {"admin": secret})
    assert caught.value.key == "credentials.admin"
    assert secret not in str(caught.value) + repr(caught.value.__cause__) and caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["http://*", "http://[::1", "http://a b", "nonsense", "http://", "ftp://x"])
def test_an_address_that_is_none_is_refused_when_the_client_is_made(url: str, client_for: MakeClient) -> None:
    with pytest.raises(BadProfile) as caught:
        client_for(url)
    assert caught.value.key == "base_url"


PICK = """
[commands.pick]
class = "config"
path = "/api/v1/modules/$module/command"
[commands.pick.params.module]
type = "text"
"""


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("a b/c?d#e", b"/api/v1/modules/a%20b%2Fc%3Fd%23e/command"),
        ("../x", b"/api/v1/modules/..%2Fx/command"),
        ("%2e%2e", b"/api/v1/modules/%252e%252e/command"),
        ("2\r\nX: y", b"/api/v1/modules/2%0D%0AX%3A%20y/command"),
        ("..", None),
        (".", None),
        ("", None),
        (None, None),
    ],
)
def test_a_parameter_in_a_path_stays_one_part_of_it(module: Any, path: bytes | None, scripted: Scripted) -> None:
    robot = scripted(http(b"{}"))
    spec = profile.parse((profile.SHIPPED / "oht50.toml").read_text() + PICK, "pick.toml")
    client = RobotClient(slug="x", base_url=robot.url, profile=spec, credentials={})

    def send() -> object:
        return client.command("pick", {"module": module}, send_by=time.monotonic() + 5)

    if path is None:
        assert not error_of(send).may_have_acted
        assert robot.requests == []
    else:
        send()
        assert robot.requests[0].split(b" ")[1] == path
    client.close()


def test_a_client_that_was_closed_can_still_finish_what_it_began(scripted: Scripted, client_for: MakeClient) -> None:
    client = client_for(scripted(http(STATE)).url)
    client.close()
    assert client.read("state").values["machine_state"] == "idle"


def test_slots_come_back_from_every_failure(scripted: Scripted, client_for: MakeClient) -> None:
    replies = ["reset", "close", b"x\r\n\r\n", http(b"", "500 OK"), http(b"x"), http(STATE)[:-3], http(b"y" * 300_000)]
    client = client_for(scripted(*replies).url)
    for _ in range(len(replies)):
        assert isinstance(error_of(lambda: move(client)), FirmwareError)
    assert client._slots.open == client._slots.motion == drainer.count() == 0
    gone = client_for("http://127.0.0.1:1")
    for _ in range(20):
        assert type(error_of(gone.stop)) is Unreachable
    assert gone._slots.open == 0


def test_an_unanswered_request_does_not_silence_a_robot_for_ever(
    scripted: Scripted, client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware.slots.PATIENCE_S", 0.4)
    client = client_for(scripted("hang", http(STATE)).url, timeout_s=0.2)
    assert isinstance(error_of(lambda: client.read("state")), NoReply)
    assert type(error_of(lambda: client.read("state"))) is Busy
    assert eventually(lambda: not isinstance(_outcome(client), Busy))
    assert client.read("state").values["machine_state"] == "idle"


def _outcome(client: RobotClient) -> Any:
    try:
        return client.read("state")
    except FirmwareError as error:
        return error
