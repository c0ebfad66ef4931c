"""What a robot said: to a read, and to an action."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Unless = Callable[
    [], tuple[str, str] | None
]  # asked right before the first byte: code and words of what stands against it


@dataclass(frozen=True)
class Observation:
    """What one read said. `began_at` (epoch s) is the age that its values are given: never younger than they are.

    It is when the read began, or when the robot took the values, if its profile tells where it says so and that is earlier.
    """

    read: str
    values: dict[str, Any]
    began_at: float
    ended_at: float
    took_s: float | None = None  # from the first byte sent to the last received
    clock_offset_s: float | None = None  # how far the robot's clock is ahead of ours, if it tells the time
    beat: Any = field(default=None, repr=False, compare=False)  # what changes while it lives, if its profile names it
    said: Any = field(default=None, repr=False, compare=False)  # the reply itself


@dataclass(frozen=True)
class Reply:
    """What a robot answered to an action. A reply is not a result."""

    status: int
    message: str
    sent_at: float
    ended_at: float
    said: Any = None  # its JSON, if it is any
    location: str = ""  # the header of that name
