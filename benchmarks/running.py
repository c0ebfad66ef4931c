"""What benchmarks run against: a simulated robot, or the whole product, each in processes of its own."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Settings read the environment when they are first imported; a benchmark leaves nothing in the user's folder.
os.environ.setdefault("ROBOTCTL_VAR", tempfile.mkdtemp(prefix="robotctl-bench-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "robotctl.settings")

import django

django.setup()

from benchmarks.measure import wall_ms
from firmware import profile
from firmware.client import RobotClient
from robotctl.tests import system as product_under_test


@contextmanager
def simulator() -> Iterator[str]:
    """One simulated robot; its URL."""
    port = product_under_test.free_port()
    arguments = [sys.executable, "-m", "firmware.simulator", "--port", str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # its ready line
        time.sleep(0.3)  # and its boot
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@contextmanager
def product(robots: int) -> Iterator[product_under_test.System]:
    """The whole product with its robots live."""
    system = product_under_test.start(robots)
    try:
        slugs = [robot["slug"] for robot in system.demo]
        deadline = time.monotonic() + 60
        while any(system.state(slug)["mode"] != "online" for slug in slugs):
            assert time.monotonic() < deadline, "the robots did not come online"
            time.sleep(0.3)
        yield system
    finally:
        system.stop()


def direct_ms(url: str, *, calls: int) -> list[float]:
    """How long the same transport takes for one read, directly."""
    client = RobotClient(slug="direct", base_url=url, profile=profile.load("oht50"), credentials={})
    try:
        return [wall_ms(lambda: client.read("state")) for _ in range(calls)]
    finally:
        client.close()
