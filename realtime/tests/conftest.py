"""A console in a real browser: a web process of its own beside the running product, so that a test may take it away."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests
from playwright.sync_api import Browser, Page, sync_playwright

from robotctl.tests.system import ROOT, System, free_port


@dataclass(frozen=True)
class SimulatedRobot:
    pid: int


@dataclass
class Console:
    """Where the pages are, who may sign in, and the simulated robots by slug."""

    system: System
    port: int
    simulators: dict[str, SimulatedRobot] = field(default_factory=dict)
    web: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        return self.system.password

    def start_web(self) -> None:
        if self.web is not None:
            return
        arguments = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "robotctl.asgi:application"]
        environment = os.environ | {"ROBOTCTL_VAR": str(self.system.var), "TESTING": "false"}
        log = (self.system.var / "log" / "second-web.log").open("ab")
        self.web = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 30
        while True:
            try:
                requests.get(f"{self.base_url}/health/live", timeout=2)
                return
            except requests.RequestException:
                assert time.monotonic() < deadline, "the second web process does not start"
                time.sleep(0.1)

    def stop_web(self) -> None:
        if self.web is not None:
            self.web.terminate()
            self.web.wait(20)
            self.web = None


@pytest.fixture(scope="session")
def second_web(system: System) -> Iterator[Console]:
    running = Console(system, free_port())
    yield running
    running.stop_web()


@pytest.fixture
def console(second_web: Console) -> Console:
    """The console with its web process up, whatever the test before did to it."""
    for robot in second_web.system.demo:
        (pid,) = second_web.system.pids(f"--port {robot['port']} ")
        second_web.simulators[robot["slug"]] = SimulatedRobot(pid)
    second_web.start_web()
    second_web.system.free_control()
    return second_web


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without it the browser tests are skipped, in CI they fail."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        assert not os.environ.get("CI"), "Chromium is not installed: apt-get install chromium"
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    quiet = [
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that knows nobody yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()
