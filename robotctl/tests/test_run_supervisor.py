"""The supervisor of `make run`, with stand-in programs: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from robotctl.environment import ROOT
from robotctl.run_listener import DEATHS_ALLOWED, Watch, last_lines, ordinal
from robotctl.run_programs import APP, BUS, Program, configuration

SLEEP = ["sleep", "600"]
STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


class Run:
    """A supervisor with stand-in programs, whose processes are known by a mark in their environment."""

    def __init__(self, folder: Path, *children: Program) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        config = folder / "supervisor.conf"
        config.write_text(configuration(children, folder=folder, logs=folder))
        self.output = (folder / "terminal").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robotctl.run_supervisor", str(config), "--logs", str(folder)],
            cwd=ROOT,
            env={**os.environ, "ROBOTCTL_TEST_MARK": self.mark},
            stdout=self.output,
            stderr=self.output,
        )

    def said(self) -> str:
        return (self.folder / "terminal").read_text()

    def wait_for(self, text: str, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in self.said():
            assert time.monotonic() < deadline, f"{text!r} was not said:\n{self.said()}"
            time.sleep(0.05)

    def left(self) -> list[psutil.Process]:
        """Every process that carries the mark, the supervisor included."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("ROBOTCTL_TEST_MARK") == self.mark and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def child(self, *command: str) -> psutil.Process:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for process in self.left():
                if process.cmdline() == list(command):
                    return process
            time.sleep(0.05)
        raise AssertionError(f"{command} does not run")

    def gone_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.left():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def close(self) -> None:
        for process in self.left():
            process.kill()
        self.process.wait(timeout=10)
        self.output.close()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    started: list[Run] = []
    yield started
    for run in started:
        run.close()


def dies(word: str, after_s: float = 0) -> list[str]:
    return ["sh", "-c", f"sleep {after_s}; echo {word}; exit 3"]


@pytest.mark.system
def test_a_killed_child_is_started_again_and_it_says_so(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path, Program("poll", APP, SLEEP, up_after_s=1)))
    first = run.child(*SLEEP)
    time.sleep(2.5)  # it counts as up
    first.kill()
    run.wait_for("poll died (terminated by SIGKILL), starting again")
    run.wait_for("poll is back")
    assert run.child(*SLEEP).pid != first.pid


@pytest.mark.system
def test_a_child_that_keeps_dying_is_given_up_with_its_reason_and_the_others_go_on(
    tmp_path: Path, runs: list[Run]
) -> None:
    dying = Program("worker", APP, dies("no-broker"), up_after_s=1, retries=2)
    runs.append(run := Run(tmp_path, dying, Program("poll", APP, SLEEP)))
    run.wait_for("worker died (exit 3), starting again in 1 s")
    run.wait_for("worker died (exit 3), starting again in 2 s (2nd time)")
    run.wait_for("worker GIVEN UP (exit 3")
    run.wait_for("    no-broker\n")
    run.wait_for("The others go on without worker")
    assert run.said().count("GIVEN UP") == 1
    assert run.child(*SLEEP).is_running()


@pytest.mark.system
def test_a_child_that_dies_often_after_coming_up_is_given_up_too(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path, Program("poll", APP, dies("lost-it", after_s=1.2), up_after_s=0)))
    run.wait_for(f"poll GIVEN UP (exit 3; {DEATHS_ALLOWED} deaths", timeout_s=30)
    died = run.said().count("poll died")
    assert died == DEATHS_ALLOWED - 1
    time.sleep(2.5)
    assert run.said().count("poll died") == died


@pytest.mark.system
@pytest.mark.parametrize("name", ["web", "bus"])
def test_without_an_essential_child_everything_ends_with_its_reason(name: str, tmp_path: Path, runs: list[Run]) -> None:
    dying = Program(name, BUS if name == "bus" else APP, dies("address-in-use"), up_after_s=1, retries=1)
    runs.append(run := Run(tmp_path, dying, Program("poll", APP, SLEEP)))
    assert run.process.wait(timeout=30) == 1
    lines = run.said().splitlines()
    assert lines[-1] == f"robotctl cannot run without {name}: stopped."
    assert lines[-2] == "    address-in-use"
    assert run.left() == []


@pytest.mark.system
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_and_leaves_no_process(sent: signal.Signals, tmp_path: Path, runs: list[Run]) -> None:
    grandparent = ["sh", "-c", "sleep 601 & wait"]
    children = [Program("bus", BUS, SLEEP), Program("poll", APP, grandparent), Program("web", APP, ["sleep", "602"])]
    runs.append(run := Run(tmp_path, *children))
    run.child("sleep", "601")
    run.child("sleep", "602")
    begun = time.monotonic()
    run.process.send_signal(sent)
    assert run.process.wait(timeout=20) == 0
    assert time.monotonic() - begun < 5
    assert run.left() == []
    assert run.said().splitlines()[-1] == "robotctl has stopped."


@pytest.mark.system
def test_a_child_that_does_not_listen_is_killed_in_the_end(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path, Program("poll", APP, STUBBORN, stop_wait_s=1)))
    run.child(*STUBBORN)
    time.sleep(0.5)  # its trap stands
    run.process.terminate()
    assert run.process.wait(timeout=20) == 0
    assert run.left() == []


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path, Program("bus", BUS, SLEEP), Program("web", APP, STUBBORN)))
    run.child(*SLEEP)
    run.child(*STUBBORN)
    run.process.kill()
    run.process.wait(timeout=10)
    assert run.gone_within(5), run.left()


@pytest.mark.system
def test_a_folder_with_spaces_and_quotes_is_no_obstacle(tmp_path: Path, runs: list[Run]) -> None:
    folder = tmp_path / """My "best" robot's"""
    folder.mkdir()
    runs.append(run := Run(folder, Program("poll", APP, ["sh", "-c", 'echo "$0"; sleep 600', str(folder)])))
    deadline = time.monotonic() + 10
    while last_lines(folder / "poll.log") != [str(folder)]:
        assert time.monotonic() < deadline, run.said()
        time.sleep(0.05)


class TestWatch:
    def test_old_deaths_are_forgotten(self, tmp_path: Path) -> None:
        now = [0.0]
        watch = Watch(tmp_path, lambda: now[0])
        for _ in range(3 * DEATHS_ALLOWED):
            now[0] += 30
            assert watch.died("poll", "exit 1", 0)
        assert not watch.fatal

    def test_the_last_lines_are_bounded_and_a_missing_log_has_none(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("\n".join(f"line {number}\n" for number in range(10_000)))
        assert last_lines(tmp_path / "log", 2) == ["line 9998", "line 9999"]
        assert last_lines(tmp_path / "none") == []

    def test_ordinals(self) -> None:
        assert [ordinal(number) for number in (1, 2, 3, 4, 11, 22)] == ["1st", "2nd", "3rd", "4th", "11th", "22nd"]
