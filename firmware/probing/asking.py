"""How a probe asks: what it was told about the robot, a client made of that, and one request at a time until time is up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from firmware import parameters, profile
from firmware.client import RobotClient
from firmware.errors import BadProfile, Busy, FirmwareError
from firmware.language.actions import Param
from firmware.language.kind import Profile
from firmware.probing.words import hangs
from firmware.signing import bound
from robotctl.problems import Problem

T = TypeVar("T")


@dataclass
class Target:
    """What to probe. `profile` None: find out. `settings` are typed, or texts as they were typed in.

    `client`: the one that this process keeps for a registered robot, so that both never ask at once.
    """

    url: str
    profile: str | None = None
    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    settings: dict[str, Any] = field(default_factory=dict)
    client: RobotClient | None = None


def prepare(target: Target, name: str) -> RobotClient:
    """A client for the target as a robot of the profile `name`. Raises BadProfile."""
    if target.client is not None:
        return target.client
    kind = profile.load(name)
    given = {key: _typed(kind.settings.get(key), value) for key, value in target.settings.items()}
    try:
        settings = parameters.sent(kind.settings, parameters.check(kind.settings, given))
    except Problem as problem:
        reason = str(problem.detail).replace("params.", "").replace("this command", "this profile")
        raise BadProfile(name, "settings", reason) from problem
    return client_of(target.url, bound(kind, settings), target.credentials)


def client_of(url: str, kind: Profile, credentials: dict[str, str]) -> RobotClient:
    """A client of its own, not kept. Raises BadProfile."""
    return RobotClient(slug="probe", base_url=url, profile=kind, credentials=credentials)


def _typed(spec: Param | None, given: Any) -> Any:
    """A text as the setting's type, where it is one; what is wrong with it, the check of the settings says."""
    if not isinstance(given, str) or spec is None or spec.type == "text":
        return given
    if spec.type == "flag":
        return {"true": True, "false": False}.get(given.lower(), given)
    try:
        return float(given)
    except ValueError:
        return given


@dataclass(frozen=True)
class Asked(Generic[T]):
    """What came of one request; `ms` from asking to the end."""

    ms: float
    value: T | None = None
    error: FirmwareError | None = None


class Asker:
    """Asks until `deadline` (monotonic); once the robot owes an answer, nothing more is sent."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self.hung = False

    def ask(self, timeout_s: float, work: Callable[[], T]) -> Asked[T]:
        """Do `work`, one request that may take `timeout_s`, unless it must not or cannot be done any more."""
        if self.hung:
            return Asked(0.0, error=Busy("Not asked: the robot has not answered an earlier request yet."))
        began = time.monotonic()
        if began + timeout_s > self._deadline:
            return Asked(0.0, error=Busy("Not asked: it may take longer than this probe has left."))
        try:
            value = work()
        except FirmwareError as error:
            self.hung = hangs(error)
            return Asked(_ms(began), error=error)
        return Asked(_ms(began), value=value)

    def read(self, client: RobotClient, name: str) -> Asked[Any]:
        """One read of the client's profile, once."""
        timeout_s = client.profile.reads[name].timeout_s or client.profile.transport.timeout_s
        return self.ask(timeout_s, lambda: client.read(name, polling=True))


def _ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
