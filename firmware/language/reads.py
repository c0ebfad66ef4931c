"""The profile language: how a robot is reached, what it is asked, and where its values are found in what it says."""

from typing import Annotated, Any, Literal

import msgspec

from firmware.language.words import Condition, Expression, Part, Path_, Scalar, Seconds, Token, says

Statuses = list[Annotated[int, says("HTTP status.", 409, ge=200, le=599)]]


class About(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What kind of robot this is."""

    title: Annotated[str, says("The kind of robot, as people call it.", "OHT-50 overhead hoist transport")]
    vendor: str = ""
    notes: str = ""


class Auth(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How a request is signed. `tokens` names the robot's credentials; reads and actions choose one of them."""

    header: Annotated[str, says("The header that carries the token.", "Authorization", "X-Api-Key")] = "Authorization"
    scheme: Annotated[str, says("Word before the token; empty sends the bare token.", "Bearer", "Basic")] = ""
    template: Annotated[str, says("The header's value in full, instead of a scheme.", "key=$token")] = ""
    encode: Annotated[
        Literal["plain", "base64"], says("base64 turns a credential `user:password` into what HTTP Basic sends.")
    ] = "plain"
    query: Annotated[
        str | None, says("The token goes into the query under this name, not into a header.", "apikey")
    ] = None
    tokens: Annotated[
        list[str], says("Names of the credentials that a robot of this kind has.", ["admin", "reader"])
    ] = []
    read_token: Annotated[str | None, says("Signs the reads that name none.", "reader")] = None


class Transport(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the robot's HTTP server needs from a client. The defaults suit the most delicate one."""

    keep_alive: bool = False
    drain: Annotated[bool, says("Never close a socket whose request is unanswered.")] = True
    connect_timeout_s: Seconds = 2.0
    timeout_s: Seconds = 3.0
    headers: Annotated[dict[str, str], says("Sent with every request.", {"Accept": "application/json"})] = {}
    max_request_bytes: Annotated[int, says("Headers and body together.", 2047, ge=256)] = 2047
    max_reply_bytes: Annotated[int, says("More is no reply.", 262144, ge=1024, le=4 * 1024 * 1024)] = 256 * 1024
    max_unanswered: Annotated[int, says("Sockets kept waiting; one of them is stop's.", 4, ge=2, le=16)] = 4


class Replies(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How the robot says no, in which words (JMESPath over the reply), and what its statuses mean."""

    refused: Annotated[str, says("True in a reply that is a refusal although its status is 2xx.", "ok == `false`")] = (
        "success == `false`"
    )
    refused_text: Annotated[
        str | None, says("The same for text replies: a regular expression that is found in a refusal.", "^ERR")
    ] = None
    message: Annotated[str, says("The robot's words.", "message || error")] = "message || error"
    not_now: Annotated[Statuses, says("Right request, wrong time.", [409])] = msgspec.field(
        default_factory=lambda: [409, 423, 425, 429, 503]
    )
    not_allowed: Annotated[Statuses, says("The token does not suffice.", [401, 403])] = msgspec.field(
        default_factory=lambda: [401, 403]
    )
    not_found: Annotated[Statuses, says("There is no such thing on this robot.", [404])] = msgspec.field(
        default_factory=lambda: [404, 410]
    )
    unreachable: Annotated[Statuses, says("A gateway speaks; the robot was not reached.", [502])] = msgspec.field(
        default_factory=lambda: [502, 504]
    )
    in_doubt: Annotated[
        Statuses, says("Refusals that are not believed: the robot may obey all the same, its state decides.", [500])
    ] = []


class Ask(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request that tells something, and how its reply is understood."""

    path: Path_
    method: Annotated[Literal["GET", "POST"], says("POST is for robots that are asked by one.")] = "GET"
    body: dict[str, Any] | None = None
    pattern: Annotated[
        str | None,
        says("For text replies: a regular expression whose named groups become the reply.", r"st=(?P<state>\w+)"),
    ] = None
    accept: Annotated[Statuses, says("Error statuses whose body is a reply like any other.", [409])] = []
    empty: Annotated[
        dict[str, Any] | None, says("What a reply without a body stands for, as if it had said so.", {"tripped": False})
    ] = None
    absent: Annotated[Statuses, says("Statuses that mean: there is nothing to read, and no failure.", [204, 404])] = []
    taken_at: Annotated[
        str | None,
        says(
            "JMESPath: when the robot took the values (epoch s, ms or µs, or ISO 8601); where it finds none, none count.",
            "time",
        ),
    ] = None
    clock: Annotated[
        str | None, says("JMESPath: the robot's present time in the same reply; taken_at is told by it.", "now")
    ] = None
    token: Token = None
    timeout_s: Seconds | None = None


class Read(Ask, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One request that tells something, repeated at its pace."""

    alive: Annotated[
        str | None,
        says(
            "JMESPath: what changes with every fresh measurement; while it stands still, or is missing, the values are frozen.",
            "beat",
        ),
    ] = None
    frozen_after_s: Annotated[Seconds, says("How long `alive` may stand still.", 5.0)] = 5.0
    every_s: Annotated[Seconds | None, says("None: the robot's poll interval.", 10.0)] = None
    live_for_s: Annotated[
        Seconds | None, says("How long its values count as live. None: two intervals and 1 s.", 12.0)
    ] = None


class Source(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One place a value may be found. Numbers are then value * scale + offset."""

    read: Annotated[str, says("One of the reads.", "state")]
    path: Expression
    scale: Annotated[float, says("Factor to the field's unit.", 0.001)] = 1.0
    offset: float = 0.0
    bit: Annotated[int, says("One bit of a status word, as a flag.", 3, ge=0, le=63)] | None = None


class Rule(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A value that follows from other fields."""

    when: Annotated[Condition, says("All of these must hold; empty: always.", {"guard_tripped": True})]
    value: Annotated[Scalar, says("What the field then is.", "estopped")]


class Value(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a value is, wherever it is found."""

    title: str = ""
    unit: Annotated[str | None, says("Every number has one.", "m")] = None
    type: Annotated[Literal["number", "text", "flag", "time"], says("What it becomes.", "number")] = "number"
    map: Annotated[dict[str, str], says("The robot's words or numbers → ours.", {"3": "moving"})] = {}
    minimum: Annotated[float | None, says("Below is no reading.", 0.0)] = None
    maximum: Annotated[float | None, says("Above is no reading.", 100.0)] = None


class Field(Value, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One value of the robot: the first source that gives one wins. Or it follows from other fields, by rules."""

    sources: Annotated[list[Source], says("Where it is found.", [{"read": "state", "path": "data.x"}])] = msgspec.field(
        name="from", default_factory=list
    )
    rules: Annotated[
        list[Rule],
        says(
            "The first that holds wins; as old as the oldest it rests on.",
            [{"when": {"busy": True}, "value": "moving"}, {"when": {}, "value": "idle"}],
        ),
    ] = []
    rests_on: Annotated[
        list[str],
        says("Other fields: it is as old as the oldest of them, too, for example a heartbeat's.", ["uptime_s"]),
    ] = []
    shown: bool = True
    tile: Annotated[bool, says("Shown on the fleet page, too.")] = False
    record: Annotated[bool, says("Kept as a time series.")] = False
    restart_when_falling: Annotated[bool, says("A counter that only a restart takes back.")] = False
    uptime: Annotated[bool, says("Seconds since boot: one that grew less than time did tells of a restart.")] = False
