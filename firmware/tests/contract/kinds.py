"""The robots that the suite runs with: those that can be started here, or the one that the command line names."""

import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from firmware import profile
from firmware.errors import BadProfile
from firmware.language.actions import Param
from firmware.language.kind import Profile
from firmware.simulator import TOKENS, Simulator
from firmware.tests.contract import options
from firmware.tests.machines.lift import Lift
from firmware.tests.octoprint_tools import KEY, MISSING, PROGRAM, OctoPrint
from robotctl.tests.fixtures import CALLERS_VAR

MACHINES = Path(__file__).parents[1] / "machines"


@dataclass(frozen=True, eq=False)
class Machine:
    """A robot that runs. `prepare`: command → somebody's hand that brings the machine to where the command is allowed."""

    url: str
    credentials: dict[str, str] = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict)
    died: Callable[[], bool] = lambda: False
    prepare: Mapping[str, Callable[[], None]] = field(default_factory=dict)

    @property
    def is_near(self) -> bool:
        """On this host: nothing that it does can hurt anybody."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


@dataclass(frozen=True, eq=False)
class Kind:
    """One entry of the table. `expect`: command → (status, code) of robots that are known not to obey it."""

    name: str
    profile: str
    start: Callable[[Path], AbstractContextManager[Machine]]
    expect: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    marks: tuple[pytest.MarkDecorator, ...] = ()

    @property
    def spec(self) -> Profile | None:
        """Its profile; None while that cannot be used, which `test_profile` tells."""
        try:
            return profile.load(self.profile)
        except BadProfile:
            return None

    @property
    def file(self) -> Path:
        found = [folder / f"{self.profile}.toml" for folder in profile.folders()]
        return next((path for path in found if path.is_file()), found[0])


def simulator(dialect: str) -> Callable[[Path], AbstractContextManager[Machine]]:
    @contextmanager
    def start(_: Path) -> Iterator[Machine]:
        with Simulator(dialect=dialect) as robot:
            yield Machine(robot.url, TOKENS, died=lambda: robot.died)

    return start


@contextmanager
def octoprint(folder: Path) -> Iterator[Machine]:
    """OctoPrint with its printer connected."""
    assert PROGRAM.exists(), MISSING
    server = OctoPrint(folder)
    try:
        server.wait()
        server.connect()
        yield Machine(server.url, {"key": KEY}, prepare={"connect": server.disconnect})
    finally:
        server.end()


@contextmanager
def lift(_: Path) -> Iterator[Machine]:
    """A machine in another style, by the profile that somebody wrote who had only its manual and our guide."""
    with Lift() as machine:
        yield Machine(machine.url, dict(machine.keys), {"unit": "nl3-0017"})


NO_OCTOPRINT = pytest.mark.skipif(not PROGRAM.exists() and os.environ.get("CI") != "1", reason=MISSING)

# Today's binary answers "segment started" and stays where it is; it knows LiDAR commands, and has no LiDAR.
NO_LIDAR = ("rejected", "rejected")
TODAY = {
    "move": ("failed", "not_obeyed"),
    "jog": ("failed", "not_obeyed"),
    "lidar_start": NO_LIDAR,
    "lidar_stop": NO_LIDAR,
}

KINDS = [
    Kind("oht50-observed", "oht50", simulator("observed"), expect=TODAY),
    Kind("oht50-documented", "oht50", simulator("documented")),
    Kind("nordlift", "nordlift", lift),
    Kind("octoprint", "octoprint", octoprint, marks=(pytest.mark.octoprint, NO_OCTOPRINT)),
]

_chosen = pytest.StashKey[list[Kind]]()


def chosen(config: pytest.Config) -> list[Kind]:
    """The kinds of this run."""
    if _chosen not in config.stash:
        named, url = config.getoption("contract_profile"), config.getoption("contract_url")
        _installed(str(MACHINES / "nordlift.toml"))
        config.stash[_chosen] = [_given(config, named, url)] if named else KINDS
    return config.stash[_chosen]


def _given(config: pytest.Config, named: str, url: str) -> Kind:
    name = _installed(named)
    credentials, given = options.pairs(config, "credential"), options.pairs(config, "setting")
    kind = Kind(name, name, lambda _: _there(Machine(url, credentials, given)))
    if kind.spec is not None:
        wanted = kind.spec.settings
        given.update({key: _typed(wanted[key], value) for key, value in given.items() if key in wanted})
    return kind


@contextmanager
def _there(machine: Machine) -> Iterator[Machine]:
    """It runs already, and goes on."""
    yield machine


def _installed(named: str) -> str:
    """The name of a profile. A file, or one that the caller has installed, is put into the tests' own folder first."""
    path = Path(named)
    if path.suffix != ".toml":
        path = CALLERS_VAR / "profiles" / f"{named}.toml"
        if not path.is_file():
            return named
    name = re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_")[:40] or "given"
    own = Path(settings.ENV.var) / "profiles" / f"{name}.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(path.read_text())
    return name


def _typed(wanted: Param, value: str) -> Any:
    if wanted.type == "flag":
        return value.lower() in ("true", "yes", "1")
    try:
        return float(value) if wanted.type in ("number", "integer") else value
    except ValueError:
        return value  # registration says what is wrong with it
