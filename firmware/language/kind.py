"""The profile language: what a TOML file says of a kind of robot, as types. Loading and checking stand beside it."""

import functools
from collections.abc import Iterator
from typing import Annotated

from firmware.language.actions import Command, Param, Reset, Setup, Stop
from firmware.language.equipment import Group, Lidar, Modules, Registers
from firmware.language.reads import About, Auth, Field, Read, Replies, Transport
from firmware.language.words import MACHINE_STATE, Condition, Part, says


class Profile(Part, kw_only=True, frozen=True, forbid_unknown_fields=True, dict=True):
    """A kind of robot. `about`, `reads`, `fields` with `machine_state`, and `stop` are required."""

    about: About
    reads: dict[str, Read]
    fields: dict[str, Field]
    stop: Stop
    auth: Auth = Auth()
    transport: Transport = Transport()
    replies: Replies = Replies()
    settings: Annotated[
        dict[str, Param],
        says(
            "What each robot of the kind is given when it is registered; `$name` in paths.", {"unit": {"type": "text"}}
        ),
    ] = {}
    setup: dict[str, Setup] = {}
    commands: dict[str, Command] = {}
    reset: Reset | None = None
    modules: Modules | None = None
    registers: Registers | None = None
    lidar: Lidar | None = None
    config: Annotated[dict[str, Group], says("Groups of settings.", {"drive": {"path": "/config/drive"}})] = {}
    constants: Annotated[
        dict[str, str], says("Path → why what it says is a constant and not read.", {"/robot/status": "never changes"})
    ] = {}

    def fields_of(self, read: str) -> Iterator[tuple[str, Field]]:
        return ((name, field) for name, field in self.fields.items() if any(s.read == read for s in field.sources))

    def reads_of(self, *names: str) -> list[str]:
        """The reads that these fields rest on, in the order in which they are told."""
        found: dict[str, None] = {}
        for name in names:
            field = self.fields[name]
            found |= dict.fromkeys(source.read for source in field.sources)
            inputs = dict.fromkeys(name for rule in field.rules for name in rule.when)
            found |= dict.fromkeys(self.reads_of(*inputs))
            found |= dict.fromkeys(self.reads_of(*(other for other in field.rests_on if other != name)))
        return list(found)

    @functools.cached_property
    def field_reads(self) -> dict[str, list[str]]:
        """Field → the reads that it rests on. Worked out once: every document asks it of every field."""
        return {name: self.reads_of(name) for name in self.fields}

    @functools.cached_property
    def state_read(self) -> str:
        """The read that tells the machine state first: the link is judged by it."""
        return self.reads_of(MACHINE_STATE)[0]

    def reads_for(self, conditions: list[Condition]) -> list[str]:
        """The reads that tell whether one of `conditions` holds, and the machine state."""
        return self.reads_of(*sorted({MACHINE_STATE} | {name for condition in conditions for name in condition}))

    @functools.cached_property
    def derived(self) -> dict[str, Field]:
        """The fields that follow from others, inputs before what rests on them."""
        return {name: field for name, field in self.fields.items() if field.rules}
