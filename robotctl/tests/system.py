"""Registers robots, and starts the whole product as a newcomer would: `python -m robotctl.run`, over real ports."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR_TOKENS = {role: f"oht50_{role}_token_2025" for role in ("admin", "operator", "readonly")}


def register(slug: str, url: str, *, profile: str = "oht50", poll_interval_s: float = 0.2, **more: Any) -> Any:
    """A robot row, as an engineer would make it."""
    from firmware.models import Robot

    robot = Robot(
        slug=slug,
        name=slug.upper(),
        profile=profile,
        base_url=url,
        poll_interval_s=poll_interval_s,
        simulated=True,
        **more,
    )
    robot.credentials = SIMULATOR_TOKENS
    robot.full_clean(exclude=["sealed_credentials"])
    robot.save()
    return robot


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class System:
    """The running product: its address, its people's password, its folder, and its processes."""

    var: Path
    port: int
    process: subprocess.Popen[bytes]
    password: str
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def demo(self) -> list[dict[str, Any]]:
        robots: list[dict[str, Any]] = json.loads((self.var / "demo.json").read_text())["robots"]
        return robots

    def call(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        if who is not None:
            if who not in self.tokens:
                answer = requests.post(
                    f"{self.url}/api/v1/auth/login/", json={"username": who, "password": self.password}, timeout=20
                )
                answer.raise_for_status()
                self.tokens[who] = answer.json()["token"]
            headers["Authorization"] = f"Token {self.tokens[who]}"
        return requests.request(method, f"{self.url}/api/v1/{path}", json=body, headers=headers, timeout=40)

    def command(self, who: str, slug: str, name: str, **params: Any) -> requests.Response:
        body = {"name": name, "params": params, "wait_s": 15}
        return self.call(who, "POST", f"robots/{slug}/commands/", body, **{"Idempotency-Key": uuid.uuid4().hex})

    def state(self, slug: str, who: str = "viewer") -> dict[str, Any]:
        document: dict[str, Any] = self.call(who, "GET", f"robots/{slug}/state/").json()
        return document

    def control(self, index: int, path: str = "", body: Any = None) -> Any:
        """The simulator's own control server: the inside truth."""
        url = f"http://127.0.0.1:{self.demo[index]['control_port']}/{path}"
        answer = requests.get(url, timeout=5) if body is None else requests.post(url, json=body, timeout=5)
        return answer.json()

    def free_control(self) -> None:
        """Nobody holds control of any robot."""
        for robot in self.demo:
            if self.state(robot["slug"])["lease"]["holder"]:
                self.call("engineer", "POST", f"robots/{robot['slug']}/lease/break/", {"reason": "next test"})

    def pids(self, words: str) -> list[int]:
        """The processes of this system whose command line holds `words`."""
        import psutil

        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if words in " ".join(child.cmdline()):
                    found.append(child.pid)
            except psutil.Error:
                continue
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


_ports = itertools.count()


def _plan_robots(var: Path, robots: int) -> None:
    """Ports for the simulated robots that no other worker's system takes, also while a test has one of them killed."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports: list[int] = []
    while len(ports) < 2 * robots:
        port = 21_000 + 2_000 * worker + next(_ports)
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                held.bind(("127.0.0.1", port))
                ports.append(port)
    plan = [
        {"slug": f"oht-{number + 1:02d}", "port": ports[2 * number], "control_port": ports[2 * number + 1]}
        for number in range(robots)
    ]
    (var / "demo.json").write_text(json.dumps({"robots": plan}))


def start(robots: int = 3, **environment: str) -> System:
    """Start the product in a folder of its own and wait until its robots are live."""
    var = Path(tempfile.mkdtemp(prefix="robotctl-system-"))
    password = "demo-" + uuid.uuid4().hex[:12]
    given = {
        "ROBOTCTL_VAR": str(var),
        "PORT": str(free_port()),
        "ROBOTCTL_ADMIN_PASSWORD": password,
        "ROBOTCTL_DEMO_ROBOTS": str(robots),
        "TESTING": "false",
    }
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    }
    _plan_robots(var, robots)
    log = (var / "run.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "robotctl.run"], cwd=ROOT, env=inherited | given | environment, stdout=log, stderr=log
    )
    log.close()
    system = System(var, int(given["PORT"]), process, password)
    deadline = time.monotonic() + 120
    while True:
        try:
            if requests.get(f"{system.url}/health/live", timeout=2).ok:
                return system
        except requests.RequestException:
            pass
        assert process.poll() is None and time.monotonic() < deadline, (var / "run.log").read_text()
        time.sleep(0.1)
