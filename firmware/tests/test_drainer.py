"""Sockets that a robot has not answered: kept, bounded, and let go of when the reply comes."""

import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.client import RobotClient
from firmware.drainer import Drainer, Unanswered, drainer
from firmware.errors import Busy, NoReply
from firmware.simulator import Simulator
from firmware.tests.conftest import MakeClient, ScriptedRobot, http
from firmware.tests.simulator_tools import eventually
from firmware.tests.test_transport import STATE, error_of, move

Scripted = Callable[..., ScriptedRobot]
ROOT = Path(__file__).resolve().parents[2]
STATE_PATH, MOVE_PATH = "/api/v1/system/state", "/api/v1/motion/segment/start"


def test_five_time_outs_in_a_row_leave_the_robot_alive_and_it_answers_afterwards(
    observed: Simulator, client_for: MakeClient
) -> None:
    for _ in range(5):
        client = client_for(observed.url, timeout_s=0.2)  # each as if freshly started: no memory of the one before
        observed.fault("hang")
        assert isinstance(error_of(lambda client=client: client.read("state")), NoReply)  # type: ignore[misc]
        gc.collect()
        observed.clear()
        assert drainer.wait(5) == 0
        assert not observed.died
    assert client.read("state").values["machine_state"] == "idle"


def test_five_clients_that_all_gave_up_while_queueing_leave_the_robot_alive(
    observed: Simulator, client_for: MakeClient
) -> None:
    observed.fault("hang", count=1)
    clients = [client_for(observed.url, timeout_s=0.2) for _ in range(5)]
    for client in clients:
        assert isinstance(error_of(lambda client=client: client.read("state")), NoReply)  # type: ignore[misc]
    assert drainer.count() == 5
    observed.clear()
    assert drainer.wait(5) == 0
    assert not observed.died
    assert clients[0].read("state").values["machine_state"] == "idle"


def test_reads_are_not_repeated_while_one_is_unanswered(observed: Simulator, client_for: MakeClient) -> None:
    client = client_for(observed.url, timeout_s=0.2)
    observed.fault("hang", path=STATE_PATH)
    assert isinstance(error_of(lambda: client.read("state")), NoReply)
    for name in ("state", "motion", "battery") * 5:
        error = error_of(lambda name=name: client.read(name))  # type: ignore[misc]
        assert type(error) is Busy and not error.may_have_acted
    observed.clear()
    assert drainer.wait(5) == 0
    assert observed.truth()["requests"] == 1
    assert client.read("state").values["machine_state"] == "idle"


def test_open_requests_are_bounded_and_the_last_slot_is_stops(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted("hang")
    client = client_for(robot.url, timeout_s=0.2, max_unanswered=4)
    for _ in range(3):
        assert isinstance(error_of(lambda: move(client)), NoReply)
    assert type(error_of(lambda: move(client))) is Busy
    assert type(error_of(lambda: client.read("state", urgent=True))) is Busy
    assert len(robot.requests) == 3
    assert isinstance(error_of(client.stop), NoReply)
    assert len(robot.requests) == drainer.count() == 4
    assert type(error_of(client.stop)) is Busy, "at the bound nothing more is sent, not even a stop"
    assert len(robot.requests) == 4 and robot.closed_at == []
    robot.stop()
    assert eventually(lambda: client._slots.open == 0)
    assert not client.motion_unanswered


def test_a_late_reply_gives_the_socket_and_its_slot_back(scripted: Scripted, client_for: MakeClient) -> None:
    go = threading.Event()

    def answer_late(sock: socket.socket) -> None:
        go.wait(5)
        sock.sendall(http(STATE))

    client = client_for(scripted(answer_late, http(STATE)).url, timeout_s=0.2)
    assert isinstance(error_of(lambda: move(client)), NoReply)
    assert client.motion_unanswered and client._slots.open == 1
    go.set()
    assert eventually(lambda: not client.motion_unanswered and client._slots.open == 0)
    assert client.read("state").values["machine_state"] == "idle"


def test_a_robot_that_keeps_the_line_open_after_its_late_reply_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("firmware.drainer.LINGER_AFTER_FIRST_BYTE_S", 0.3)
    ours, theirs = socket.socketpair()
    ended: list[bytes] = []
    mine = Drainer()
    mine.adopt(Unanswered(ours, "read", ended.append))
    theirs.sendall(http(STATE))
    assert eventually(lambda: bool(ended), within_s=4)
    assert ended == [http(STATE)]
    theirs.close()


def test_a_flood_after_the_time_out_is_cut_off(scripted: Scripted) -> None:
    ours, theirs = socket.socketpair()
    ended: list[bytes] = []
    mine = Drainer()
    mine.adopt(Unanswered(ours, "read", ended.append))
    theirs.settimeout(5)
    with pytest.raises(OSError):
        while True:
            theirs.sendall(b"x" * 65536)
    assert mine.wait(3) == 0 and len(ended[0]) == 2048
    theirs.close()


def test_a_socket_that_is_closed_already_ends_at_once_and_holds_nobody_up() -> None:
    mine = Drainer()
    ended: list[str] = []
    closed, (ours, theirs) = socket.socket(), socket.socketpair()
    closed.close()
    mine.adopt(Unanswered(closed, "closed", lambda _: ended.append("closed")))
    mine.adopt(Unanswered(ours, "alive", lambda _: ended.append("alive")))
    theirs.close()
    assert mine.wait(3) == 0
    assert sorted(ended) == ["alive", "closed"]


def test_four_hundred_sockets_at_once_are_all_let_go_of() -> None:
    mine = Drainer()
    ended: list[bytes] = []
    pairs = [socket.socketpair() for _ in range(400)]
    for ours, _ in pairs:
        mine.adopt(Unanswered(ours, "read", ended.append))
    assert mine.count() == 400
    for _, theirs in pairs:
        theirs.close()
    assert mine.wait(5) == 0 and len(ended) == 400


def test_an_interrupted_request_is_drained_and_keeps_its_slot(observed: Simulator, client_for: MakeClient) -> None:
    client = client_for(observed.url, timeout_s=30)
    observed.fault("hang")

    def interrupt_once_it_is_sent() -> None:
        eventually(lambda: observed.truth()["requests"] == 1, within_s=20)
        time.sleep(0.5)  # right before a blocking call a signal is noted, and heard only when the call returns
        os.kill(os.getpid(), signal.SIGINT)

    # Whoever starts the tests in the background may have had this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupter = threading.Thread(target=interrupt_once_it_is_sent)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            client.read("state")
    finally:
        signal.signal(signal.SIGINT, before)
    interrupter.join()
    gc.collect()
    assert client._slots.open == drainer.count() == 1
    observed.clear()
    assert eventually(lambda: client._slots.open == 0)
    assert not observed.died


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, Busy("too late")], ids=str)
def test_what_fails_between_the_connection_and_the_first_byte_leaves_nothing_behind(
    error: BaseException | type[BaseException],
    observed: Simulator,
    client_for: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, asked = client_for(observed.url), []

    def fail_right_before_the_write() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise error

    monkeypatch.setattr(client._slots, "check_reads", fail_right_before_the_write)
    with pytest.raises((KeyboardInterrupt, MemoryError, Busy)):
        client.read("state")
    assert client._slots.open == drainer.count() == 0
    assert client.read("state").values["machine_state"] == "idle"
    assert not observed.died
    assert observed.truth()["requests"] == 1


def test_a_client_that_is_closed_and_forgotten_leaves_its_unanswered_socket_alone(
    observed: Simulator, client_for: MakeClient
) -> None:
    observed.fault("hang")
    spec = client_for(observed.url, timeout_s=0.2).profile
    client = RobotClient(slug="x", base_url=observed.url, profile=spec, credentials={})
    with pytest.raises(NoReply):
        client.read("state")
    client.close()
    del client
    gc.collect()
    observed.clear()
    assert drainer.wait(5) == 0
    assert not observed.died


def test_without_the_quirk_a_time_out_just_closes(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted("hang")
    client = client_for(robot.url, timeout_s=0.2, drain=False)
    assert isinstance(error_of(lambda: move(client)), NoReply)
    assert client._slots.open == drainer.count() == 0
    assert eventually(lambda: len(robot.closed_at) == 1)


# --- the end of the process -------------------------------------------------------------------------------------------
PROCESS = """
import os, sys, threading, time
os.environ["DJANGO_SETTINGS_MODULE"] = "robotctl.settings"
import django
django.setup()
import msgspec
from firmware import drainer, profile
from firmware.client import RobotClient
from firmware.errors import NoReply
spec = profile.load("oht50")
spec = msgspec.structs.replace(spec, transport=msgspec.structs.replace(spec.transport, timeout_s=0.3))
client = RobotClient(slug="x", base_url=sys.argv[1], profile=spec, credentials={{}})
try:
    client.stop()
except NoReply:
    print("no reply", flush=True)
{then}
"""


def ended_after_s(url: str, then: str = "", meanwhile: threading.Timer | None = None) -> tuple[float, str]:
    program = textwrap.dedent(PROCESS).format(then=then)
    with subprocess.Popen(
        [sys.executable, "-c", program, url], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "no reply\n"
        began = time.monotonic()
        if meanwhile:
            meanwhile.start()
        rest = child.stdout.read()
        assert child.wait() == 0, rest
    return time.monotonic() - began, rest


def test_a_process_waits_at_its_end_until_the_robot_has_answered(observed: Simulator) -> None:
    observed.fault("hang")
    took_s, said = ended_after_s(observed.url, meanwhile=threading.Timer(1.5, observed.clear))
    assert 1.0 < took_s < 9.0, said
    assert "abandoned" not in said
    assert not observed.died


@pytest.mark.system
def test_a_process_waits_ten_seconds_at_its_end_and_not_for_ever(scripted: Scripted) -> None:
    robot = scripted("hang")
    took_s, said = ended_after_s(robot.url)
    assert 9.0 < took_s < 20.0
    assert "link.abandoned" in said


def test_who_has_waited_already_does_not_wait_again_at_the_end(scripted: Scripted) -> None:
    robot = scripted("hang")
    took_s, said = ended_after_s(robot.url, "drainer.SHUTDOWN_WAIT_S = 2.0\ndrainer.drainer.wait(2.0)")
    assert 1.5 < took_s < 8
    assert "link.abandoned" in said


def test_a_forked_child_neither_waits_for_nor_closes_what_its_parent_is_waiting_for(observed: Simulator) -> None:
    observed.fault("hang")
    fork = """
    pid = os.fork()
    if pid == 0:
        assert drainer.drainer.count() == 0
        spec2 = msgspec.structs.replace(spec, transport=msgspec.structs.replace(spec.transport, timeout_s=0.2))
        child = RobotClient(slug="x", base_url=sys.argv[1], profile=spec2, credentials={})
        try:
            child.stop()
        except NoReply:
            assert drainer.drainer.count() == 1
        assert drainer.drainer.wait(5) == 0
        os._exit(7)
    assert os.waitpid(pid, 0)[1] == 7 << 8
    assert drainer.drainer.wait(5) == 0
    """
    ended_after_s(observed.url, textwrap.dedent(fork), threading.Timer(1.5, observed.clear))
    assert not observed.died
