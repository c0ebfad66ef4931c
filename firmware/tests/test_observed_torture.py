"""The whole promise at once: today's firmware under hangs and time-outs, read and commanded from many threads."""

import contextlib
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import requests

from firmware import profile
from firmware.client import RobotClient
from firmware.drainer import drainer
from firmware.errors import Busy, FirmwareError, NoReply, Unreachable
from firmware.simulator import TOKENS
from firmware.tests.simulator_tools import eventually

ROOT = Path(__file__).resolve().parents[2]
READS, COMMANDS = 10_000, 500
WALL_S = 90.0
TIMEOUT_S = 0.15
AT_MOST_S = 80.0
STATE_PATH, MOVE_PATH = "/api/v1/system/state", "/api/v1/motion/segment/start"


@dataclass
class Robot:
    """A simulated robot in a process of its own, with the levers of its control port."""

    process: subprocess.Popen[str]
    url: str
    control: str
    levers: requests.Session = field(default_factory=requests.Session)

    def truth(self) -> dict[str, Any]:
        robots: list[dict[str, Any]] = self.levers.get(self.control + "/", timeout=5).json()["robots"]
        return robots[0]

    def fault(self, **body: Any) -> None:
        self.levers.post(self.control + "/fault", json=body, timeout=5).raise_for_status()

    def clear(self) -> None:
        self.levers.post(self.control + "/clear", json={}, timeout=5).raise_for_status()


@pytest.fixture
def robot() -> Iterator[Robot]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        control = free.getsockname()[1]
    command = [sys.executable, "-m", "firmware.simulator", "--dialect", "observed", "--port", "0", "--boot-s", "0"]
    with subprocess.Popen(
        [*command, "--control-port", str(control)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        made = Robot(process, found[0], f"http://127.0.0.1:{control}")
        try:
            yield made
        finally:
            made.levers.close()
            process.kill()


class Load:
    """Threads that read and command until enough of both were sent, and what came of each."""

    def __init__(self, client: RobotClient) -> None:
        self.client = client
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.reads, self.commands = Counter[str](), Counter[str]()
        self.unexpected: list[BaseException] = []
        self.longest_s = 0.0

    def _try(self, kind: Counter[str], enough: int, work: Any) -> bool:
        """Whether it is to go on. Counts by outcome; what was Busy was not sent and does not count."""
        began = time.monotonic()
        try:
            work()
            outcome = "answered"
        except FirmwareError as error:
            outcome = error.code
        except Exception as error:  # noqa: BLE001
            self.unexpected.append(error)
            return False
        with self.lock:
            kind[outcome] += 1
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            return kind.total() - kind["busy"] < enough and not self.over.is_set()

    def end_when_ended(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join()
        self.over.set()

    def read(self) -> None:
        while self._try(self.reads, READS, lambda: self.client.read("state", polling=True)):
            if self.client._slots.unanswered_since:
                time.sleep(0.002)  # as a poll loop: not at once again

    def command(self) -> None:
        params = {"target_m": 20.0, "speed_mps": 0.5, "acceleration_mps2": 0.5}
        while self._try(
            self.commands, COMMANDS, lambda: self.client.command("move", params, send_by=time.monotonic() + 5)
        ):
            time.sleep(0.05)


def harass(robot: Robot, load: Load, rng: random.Random) -> int:
    """Switch faults on and off until the load has ended; how many there were."""
    count, until = 0, time.monotonic() + AT_MOST_S
    while not load.over.wait(rng.uniform(0.2, 0.6)) and time.monotonic() < until:
        name, value = rng.choice([("hang", None), ("slow", rng.uniform(0.05, 0.4)), ("no_reply_once", None)])
        path = rng.choice(["/", STATE_PATH, MOVE_PATH])
        robot.fault(fault=name, path=path, **({} if value is None else {"value": value}))
        load.over.wait(rng.uniform(0.05, 0.5))
        robot.clear()
        count += 1
    return count


def our_connections(port: int) -> int:
    mine = psutil.Process(os.getpid()).net_connections("tcp")
    return sum(1 for each in mine if each.raddr and each.raddr.port == port)


@pytest.mark.system
def test_ten_thousand_reads_and_five_hundred_commands_under_hangs_neither_kill_the_robot_nor_lose_a_body(
    robot: Robot,
) -> None:
    spec = profile.load("oht50")
    wire = msgspec.structs.replace(spec.transport, timeout_s=TIMEOUT_S, connect_timeout_s=1.0)
    client = RobotClient(
        slug="oht", base_url=robot.url, profile=msgspec.structs.replace(spec, transport=wire), credentials=TOKENS
    )
    load, faults = Load(client), 0
    readers = [threading.Thread(target=load.read) for _ in range(4)]
    commanders = [threading.Thread(target=load.command) for _ in range(2)]
    began = time.monotonic()
    for thread in [*readers, *commanders]:
        thread.start()
    done = threading.Thread(target=load.end_when_ended, args=([*readers, *commanders],))
    done.start()
    with contextlib.suppress(requests.ConnectionError):  # the assertions below tell what died
        faults = harass(robot, load, random.Random(20261122))
    load.over.set()
    done.join()
    took_s = time.monotonic() - began

    assert load.unexpected == []
    assert robot.process.poll() is None, "the robot's firmware died"
    robot.clear()
    assert drainer.wait(10) == 0
    port = int(robot.url.rpartition(":")[2])
    assert eventually(lambda: our_connections(port) == 0)
    assert client._slots.open == client._slots.motion == 0
    truth = robot.truth()
    print(
        f"\n{took_s:.0f} s, {faults} faults; reads {dict(load.reads)}; commands {dict(load.commands)};"
        f" longest call {load.longest_s:.2f} s; the robot received {truth['requests']} requests,"
        f" {truth['bodies_received']} bodies, {truth['by_path']}"
    )
    answered, unknown = load.commands["answered"], load.commands[NoReply.code]
    sent_reads = load.reads["answered"] + load.reads[NoReply.code]
    assert set(load.commands) <= {"answered", NoReply.code, Busy.code, Unreachable.code}
    assert set(load.reads) <= {"answered", NoReply.code, Busy.code, Unreachable.code}
    # Every command arrived exactly once and with its body; those that timed out were served late, by the drained socket.
    assert truth["bodies_received"] == truth["by_path"][f"POST {MOVE_PATH}"] == answered + unknown
    assert truth["by_path"][f"GET {STATE_PATH}"] == sent_reads
    assert answered + unknown >= COMMANDS and sent_reads >= READS
    assert faults > 10 and load.reads[NoReply.code] >= 4 and unknown >= 4
    client.close()
