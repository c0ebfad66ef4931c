"""Where a profile says `$name`: whether there is anything of that name to stand there.

What is not known would be left out of a body, or sent as it is: a stop without its robot's name stops nobody.
"""

from collections.abc import Iterator
from typing import Any

from firmware.language.equipment_checks import fetches
from firmware.language.kind import Profile
from firmware.language.words import placeholders

TAKEN = frozenset({"token", "job", "module", "register", "value", "values", "key"})


def placeholder_problems(profile: Profile) -> Iterator[tuple[str, str]]:
    """(key, reason) of every `$name` that nothing stands for."""
    for key, template, known in _templates(profile):
        for missing in sorted(set(placeholders(template)) - known - profile.settings.keys()):
            names = ", ".join(f"${name}" for name in sorted(known | profile.settings.keys())) or "none"
            yield key, f"${missing} stands for nothing here; known: {names}"
    for name in profile.settings:
        if name in TAKEN:
            yield f"settings.{name}", f"${name} stands for something else already; take another name"
        for command, spec in profile.commands.items():
            if name in spec.params:
                yield f"commands.{command}.params.{name}", f"${name} is one of settings, too; take another name"


def _templates(profile: Profile) -> Iterator[tuple[str, Any, set[str]]]:
    """(key, what may hold `$name`, the names known there beside the robot's settings)."""
    for name, read in profile.reads.items():
        yield f"reads.{name}.path", read.path, set()
        yield f"reads.{name}.body", read.body, set()
    for name, field in profile.fields.items():
        for index, source in enumerate(field.sources):
            yield f"fields.{name}.from[{index}].path", source.path, set()
    actions: dict[str, Any] = {"stop": profile.stop}
    actions |= {"reset": profile.reset} if profile.reset else {}
    actions |= {f"setup.{name}": call for name, call in profile.setup.items()}
    for key, action in actions.items():
        yield f"{key}.path", action.path, set()
        yield f"{key}.body", action.body, set()
    for name, command in profile.commands.items():
        known = set(command.params) | (command.hold.forward.keys() if command.hold else set())
        yield f"commands.{name}.path", command.path, known
        yield f"commands.{name}.body", command.body, known
        if command.job and command.job.path:
            yield f"commands.{name}.job.path", command.job.path, {"job"}
    yield from _equipment(profile)


def _equipment(profile: Profile) -> Iterator[tuple[str, Any, set[str]]]:
    for key, ask in fetches(profile).items():
        known = {"module"} if key == "registers" or key.startswith("modules.details.") else set[str]()
        yield f"{key}.path", ask.path, known
        yield f"{key}.body", ask.body, known
    if profile.registers and (write := profile.registers.write):
        yield "registers.write.path", write.path, {"module", "register", "value"}
        yield "registers.write.body", write.body, {"module", "register", "value"}
    for name, group in profile.config.items():
        if group.write:
            yield f"config.{name}.write.path", group.write.path, {"key", "value"}
            yield f"config.{name}.write.body", group.write.body, {"key", "value", "values"}
