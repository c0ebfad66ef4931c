"""The profile language: what a robot is made of. Modules, their registers, its LiDAR, its configuration."""

from typing import Annotated

import msgspec

from firmware.language.actions import Action, Param
from firmware.language.reads import Ask, Value
from firmware.language.words import Expression, MaySeconds, Part, Path_, Scalar, Seconds, says

LISTED = says("The list in the reply; of an object, its values, each with its `key`.", "data.modules")


class Fetch(Ask, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A request made when somebody looks, and not again before `fresh_s` is over."""

    fresh_s: Annotated[Seconds, says("So long what was read is not asked for again.", 10.0)] = 10.0


class Item(Value, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One value of a module."""

    path: Expression
    scale: float = 1.0
    offset: float = 0.0


class Detail(Fetch, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """More about one module; `$module` in the path is its address."""

    only: Annotated[list[str], says("Addresses it is for; empty: all.", ["2"])] = []
    fields: dict[str, Item]


class Modules(Fetch, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The parts a robot is made of."""

    entries: Annotated[Expression, LISTED] = msgspec.field(name="list")
    address: Annotated[Expression, says("A module's address, in its entry; `$module` elsewhere.", "address")]
    fields: Annotated[dict[str, Item], says("What an entry says.", {"kind": {"path": "type", "type": "text"}})] = {}
    details: dict[str, Detail] = {}


class Known(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the maker's document says of one register and the robot does not."""

    title: str = ""
    unit: str | None = None
    scale: Annotated[float, says("Shown is the raw value times this.", 0.1)] = 1.0
    minimum: Annotated[float | None, says("Writing less is refused before anything is sent; raw.", 0)] = None
    maximum: Annotated[float | None, says("Writing more is refused before anything is sent; raw.", 600)] = None
    choices: Annotated[list[int], says("The only values that may be written.", [0, 1])] = []
    writable: Annotated[bool | None, says("None: as the robot says.")] = None


class Write(Action, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A write, confirmed by reading the value back. Never repeated."""

    blocks_s: Annotated[MaySeconds, says("So long the robot may answer nobody; polling steps aside.", 5.0)] = 0.0
    confirm_within_s: Seconds = 5.0
    states: Annotated[list[str], says("Machine states that allow it; empty: any.", ["idle"])] = []
    approval: Annotated[bool, says("A second person must agree within 10 minutes before it is sent.")] = False


class Registers(Fetch, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The register table of a module; `$module` in the path. All expressions are over one entry of the list."""

    path: Annotated[Path_, says("`$module` stands for the module's address.", "/modules/$module/registers")]
    entries: Annotated[Expression, LISTED] = msgspec.field(name="list")
    address: Annotated[Expression, says("`$register` in the write's path.", "address")]
    value: Expression
    name: str = "name"
    type: Annotated[str, says("JMESPath: INT16, UINT16, INT32, UINT32, BOOL, FLOAT.", "data_type")] = "data_type"
    writable: Annotated[str, says("JMESPath: true where it may be written.", "mode != 'READ'")] = "`false`"
    minimum: Annotated[str | None, says("JMESPath: least raw value that may be written.", "lo")] = None
    maximum: Annotated[str | None, says("JMESPath: greatest raw value that may be written.", "hi")] = None
    unit: Annotated[str | None, says("JMESPath: unit.", "unit")] = None
    known: Annotated[
        dict[str, dict[str, Known]],
        says("Module → register → what the maker's document says.", {"2": {"0x0000": {"unit": "V"}}}),
    ] = {}
    write: Write | None = None


class Zone(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A part of the scan that is drawn."""

    title: Annotated[str, says("What it is for.", "stop zone")]
    radius_mm: Annotated[float, says("How far it reaches.", 500, gt=0)]
    from_deg: float = -180.0
    to_deg: float = 180.0


class Lidar(Fetch, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A scan: a list of points, or a list of distances at equal angles. 0° is straight ahead, turning left."""

    points: Annotated[str | None, says("JMESPath: a list of points.", "data.points")] = None
    angle: Annotated[str, says("JMESPath over one point, in degrees.", "angle_deg || angle")] = "angle_deg || angle"
    distance: Annotated[str, says("JMESPath over one point.", "distance_mm")] = "distance_mm || distance"
    strength: Annotated[str, says("JMESPath over one point: strength of the echo.", "quality")] = "quality"
    distances: Annotated[str | None, says("JMESPath: a list of distances.", "data.distances")] = None
    first_deg: Annotated[Scalar, says("Angle of the first distance; or a JMESPath.", -90)] = 0.0
    step_deg: Annotated[Scalar, says("Angle between two distances; or a JMESPath.", 0.5)] = 1.0
    scale: Annotated[float, says("To millimetres.", 10)] = 1.0
    maximum_mm: Annotated[float, says("Beyond is no echo.", 12000)] = 100_000.0
    zones: list[Zone] = []


class Setting(Param, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One thing that can be set."""

    path: Expression
    key: Annotated[str, says("What the robot calls it in a write; empty: its name here.", "timeout_ms")] = ""
    writable: bool = True
    tolerance: Annotated[
        float, says("How far off a reported value still is the same, as a robot that rounds.", 0.05)
    ] = 0.0


class Group(Fetch, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Settings that are read in one reply. In a write `$values` is the object of those that change, `$key` and
    `$value` one of them, sent one by one."""

    settings: dict[str, Setting]
    write: Write | None = None
