"""The profile language: what a TOML file says of a kind of robot, as types. Loading and checking stand beside it."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

MACHINE_STATE = "machine_state"
MACHINE_STATES = (
    "booting", "initializing", "idle", "moving", "docking", "paused", "configuring",
    "fault", "estopped", "safe", "shutdown", "unknown",
)  # fmt: skip

Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Path_ = Annotated[str, msgspec.Meta(pattern="^/[^ ]*$", description="Path on the robot, from the root.")]
Scalar = str | float | bool


class Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all tables of a profile: unknown keys are errors."""


class About(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    title: str
    vendor: str = ""
    notes: str = ""


class Auth(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a request is signed. `tokens` names the robot's credentials; reads and commands choose one of them."""

    header: str = "Authorization"
    scheme: str = ""  # "Bearer" sends `Authorization: Bearer <token>`; empty sends the bare token
    tokens: list[str] = []
    read_token: str | None = None  # for reads that name none


class Transport(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the robot's HTTP server needs from a client."""

    one_write: bool = True  # headers and body leave in one send()
    keep_alive: bool = False
    drain: bool = True  # never close a socket with a request unanswered
    connect_timeout_s: Seconds = 2.0
    timeout_s: Seconds = 3.0
    max_request_bytes: Annotated[int, msgspec.Meta(ge=256)] = 2047
    max_reply_bytes: Annotated[int, msgspec.Meta(ge=1024, le=4 * 1024 * 1024)] = 256 * 1024
    max_unanswered: Annotated[int, msgspec.Meta(ge=2, le=16)] = 4  # sockets kept waiting; one of them is stop's


class Replies(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How the robot says no, and in which words (JMESPath over the reply)."""

    refused: str = "success == `false`"
    message: str = "message || error"


class Read(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    path: Path_
    absent: list[Annotated[int, msgspec.Meta(ge=404, le=499)]] = []  # statuses: nothing to read now, and no failure
    taken_at: str | None = None  # JMESPath: epoch s at which the robot took the values; where it finds none, none count
    every_s: Seconds | None = None  # None: the robot's poll interval
    token: str | None = None
    timeout_s: Seconds | None = None


class Source(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One place a value may be found: a read, and a JMESPath in its reply. Numbers are then value * scale + offset."""

    read: str
    path: str
    scale: float = 1.0
    offset: float = 0.0


class Field(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One value of the robot. The first source that gives one wins."""

    sources: list[Source] = msgspec.field(name="from")
    title: str = ""
    unit: str | None = None
    type: Literal["number", "text", "flag"] = "number"
    map: dict[str, str] = {}
    minimum: float | None = None  # outside is no reading
    maximum: float | None = None
    shown: bool = True
    tile: bool = False  # shown on the fleet page, too
    restart_when_falling: bool = False  # a counter that only a restart takes back


class Near(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    near: Scalar
    tolerance: float


Condition = dict[str, Scalar | list[str] | Near]


class Param(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    type: Literal["number", "integer", "text", "flag"] = "number"
    title: str = ""
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] = []
    default: Scalar | None = None
    required: bool = True


class Action(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request that makes the robot do something."""

    path: Path_
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    token: str | None = None
    body: dict[str, Any] | None = None  # the string "$name" stands for the typed parameter
    timeout_s: Seconds | None = None


class Command(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    title: str = ""
    kind: Literal["read", "motion", "stop", "config"] = msgspec.field(name="class")
    states: list[str] = []  # machine states that allow it; empty: any
    params: dict[str, Param] = {}
    confirm: list[Condition] = []  # any of these, read back, shows that the robot obeys
    observable: bool = True  # false: the robot reports nothing that could show it; it ends `acknowledged`
    confirm_within_s: Seconds = 5.0
    done: list[Condition] = []  # any of these: it has arrived
    deadline_s: Seconds = 10.0  # past it, it expires unsent


class Stop(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    stopped: list[Condition]  # any of these, read back: it stands


class Reset(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    from_states: list[str] = msgspec.field(default_factory=lambda: ["estopped"])
    hold_s: Seconds = 2.0  # the new state must stay this long
    leave_within_s: Seconds = 5.0  # and must have come by then


class Profile(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    about: About
    reads: dict[str, Read]
    fields: dict[str, Field]
    stop: Stop
    auth: Auth = Auth()
    transport: Transport = Transport()
    replies: Replies = Replies()
    commands: dict[str, Command] = {}
    reset: Reset | None = None

    def fields_of(self, read: str) -> Iterator[tuple[str, Field]]:
        return ((name, field) for name, field in self.fields.items() if any(s.read == read for s in field.sources))

    @property
    def state_read(self) -> str:
        """The read that tells the machine state first; read-backs use it."""
        return self.fields[MACHINE_STATE].sources[0].read

    def reads_for(self, conditions: list[Condition]) -> list[str]:
        """The reads that tell whether one of `conditions` holds."""
        names = {MACHINE_STATE} | {name for condition in conditions for name in condition}
        return list(dict.fromkeys(source.read for name in sorted(names) for source in self.fields[name].sources))


PLACEHOLDER = re.compile(r"\$([a-z_][a-z0-9_]*)")


def placeholders(template: Any) -> Iterator[str]:
    """The parameter names in a template. In a body only a whole string is one; in a path each `{$name}` segment."""
    if isinstance(template, str):
        yield from PLACEHOLDER.findall(template)
    elif isinstance(template, dict | list):
        for value in template.values() if isinstance(template, dict) else template:
            yield from placeholders(value)
