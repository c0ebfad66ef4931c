"""The words that all parts of the profile language are made of: base table, typed values, and how a key explains itself."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

MACHINE_STATE = "machine_state"
MACHINE_STATES = (
    "booting", "initializing", "idle", "moving", "docking", "paused", "configuring",
    "fault", "estopped", "safe", "shutdown", "unknown",
)  # fmt: skip


class Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all tables of a profile: unknown keys are errors."""


def says(description: str, *examples: Any, **limits: Any) -> msgspec.Meta:
    """What a key means, with examples as they stand in a file: for the JSON Schema, the docs and the error messages."""
    return msgspec.Meta(description=description, examples=list(examples) or None, **limits)


PATH = r"^/([^/\s#][^\s#]*)?(?![\s\S])"  # `//host` would be another machine; `$` lets a line break at the end pass
Scalar = str | int | float | bool
Seconds = Annotated[float, says("Seconds.", 2.0, gt=0, le=3600)]
MaySeconds = Annotated[float, says("Seconds; 0: none.", 2.0, ge=0, le=3600)]
Path_ = Annotated[
    str,
    says("Path on the robot, from the root; `$name` stands for a parameter.", "/api/v1/state", pattern=PATH),
]
Expression = Annotated[str, says("JMESPath over the reply.", "data.state", "units[?id=='7'] | [0].phase")]
Token = Annotated[str | None, says("Which of auth.tokens signs it.", "admin")]


class Near(Part, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A number within a tolerance."""

    near: Annotated[Scalar, says("The number, or `$name` for a parameter.", "$target_m")]
    tolerance: Annotated[float, says("How far off still counts.", 0.05)]


Condition = dict[str, Scalar | list[str] | Near]

PLACEHOLDER = re.compile(r"\$([a-z_][a-z0-9_]*)")


def placeholders(template: Any) -> Iterator[str]:
    """The parameter names in a template."""
    if isinstance(template, str):
        yield from PLACEHOLDER.findall(template)
    elif isinstance(template, dict | list):
        for value in template.values() if isinstance(template, dict) else template:
            yield from placeholders(value)
