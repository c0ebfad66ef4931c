"""The profile language: what a robot can be told, and how it shows that it obeys."""

from typing import Annotated, Any, Literal

import msgspec

from firmware.language.words import Condition, Expression, MaySeconds, Part, Path_, Scalar, Seconds, Token, says

Conditions = Annotated[
    list[Condition],
    says("Any of these must hold; within one, all.", [{"machine_state": "moving"}]),
]


class Param(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One parameter, as people give it, and how it is sent."""

    type: Literal["number", "integer", "text", "flag"] = "number"
    title: str = ""
    unit: Annotated[str | None, says("As people give it.", "m")] = None
    minimum: Annotated[float | None, says("Less is refused before anything is sent.", 0.0)] = None
    maximum: Annotated[float | None, says("More is refused before anything is sent.", 100.0)] = None
    choices: Annotated[list[str], says("The only texts allowed.", ["up", "down"])] = []
    default: Scalar | None = None
    required: bool = True
    example: Annotated[Scalar | None, says("What the contract suite tries.", 12.5)] = None
    scale: Annotated[float, says("Sent is the number times this.", 1000)] = 1.0
    sent: Annotated[dict[str, Scalar], says("What a choice is sent as.", {"up": 1})] = {}


class Action(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request that makes the robot do something."""

    path: Path_
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    token: Token = None
    body: Annotated[
        dict[str, Any] | list[Any] | str | None,
        says(
            'The whole string "$name" becomes the typed parameter; within a longer one it is written into it.',
            {"target": "$target_m"},
        ),
    ] = None
    encode: Annotated[
        Literal["json", "form", "text"],
        says("How the body is written; text: the body is one string, form: a flat table."),
    ] = "json"
    timeout_s: Seconds | None = None
    in_doubt: Annotated[list[int] | None, says("As in [replies], for this one; none: as there.", [500])] = None


class Job(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A reply that only names a job: what becomes of it is asked for."""

    id: Annotated[Expression | None, says("Where the reply names the job; none: its Location header does.", "job")] = (
        None
    )
    path: Annotated[
        Path_ | None,
        says("Where it is asked for; `$job` is its name. None: what names it is its address.", "/jobs/$job"),
    ] = None
    state: Annotated[Expression, says("The job's state in that reply.", "stage")]
    working: Annotated[list[str], says("States in which the robot works at it.", ["running"])] = []
    done: Annotated[list[str], says("States in which it is done.", ["done"])]
    failed: Annotated[list[str], says("States in which it failed.", ["failed", "cancelled"])]
    why: Annotated[str, says("JMESPath: the reason of a failure.", "why")] = "message || error"
    pattern: Annotated[
        str | None,
        says("For text replies: a regular expression whose named groups become the reply.", r"J=(?P<stage>\w+)"),
    ] = None
    token: Token = None
    follow_s: Annotated[Seconds, says("How long it is followed.", 600)] = 600.0


class Hold(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Hold-to-run: it moves while somebody holds the button, and is halted when they let go or are lost."""

    speed: Annotated[str, says("The parameter whose sign is the direction; sent is its size.", "speed_mps")]
    forward: Annotated[dict[str, Scalar], says("What `$names` stand for while it is positive.", {"end_m": 100})] = {}
    backward: Annotated[dict[str, Scalar], says("And while it is negative.", {"end_m": 0})] = {}
    release: Annotated[str, says("The command that ends it.", "halt")]
    lost_after_s: Annotated[
        float, says("So long after the last sign of the button it counts as let go.", 1.0, gt=0, le=5)
    ] = 1.0


class Command(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One thing a robot of this kind can be told."""

    title: str = ""
    kind: Annotated[
        Literal["motion", "stop", "config", "read"],
        says("motion moves it; stop ends motion; config sets something; read only looks.", "motion"),
    ] = msgspec.field(name="class")
    states: Annotated[list[str], says("Machine states that allow it; empty: any.", ["idle"])] = []
    params: dict[str, Param] = {}
    confirm: Conditions = []
    observable: Annotated[bool, says("false: nothing the robot reports could show it; it ends `acknowledged`.")] = True
    confirm_within_s: Seconds = 5.0
    holds_s: Annotated[MaySeconds, says("It must still hold after so long.", 1.0)] = 0.0
    done: Conditions = []
    job: Job | None = None
    hold: Hold | None = None
    deadline_s: Annotated[Seconds, says("Past it, it expires unsent.", 10.0)] = 10.0
    blocks_s: Annotated[MaySeconds, says("So long the robot may answer nobody; polling steps aside.", 5.0)] = 0.0
    approval: Annotated[bool, says("A second person must agree within 10 minutes before it is sent.")] = False

    @property
    def right(self) -> str:
        """What somebody must hold to send it."""
        return "robot.jog" if self.hold else "robot.command"


class Stop(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How it is stopped, and how a stopped robot reads."""

    stopped: Annotated[list[Condition], says("Any of these, read back: it stands.", [{"machine_state": "estopped"}])]


class Reset(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How it leaves its stop."""

    from_states: Annotated[list[str], says("States it is there for.", ["estopped"])] = msgspec.field(
        default_factory=lambda: ["estopped"]
    )
    hold_s: Annotated[Seconds, says("The new state must stay so long.", 2.0)] = 2.0
    leave_within_s: Annotated[Seconds, says("And must have come by then.", 5.0)] = 5.0
    approval: Annotated[
        bool, says("After a stop that did not come from here, a second person must agree before it is sent.")
    ] = False


class Setup(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A call that a robot needs before it can be used. Must never move it."""

    title: Annotated[str, says("What it does.", "take remote control")]
    when: Annotated[Conditions, says("It is called while one of these reads so.", [{"remote": False}])]
    again_after_s: Annotated[Seconds, says("At most once in so long.", 30.0)] = 30.0
