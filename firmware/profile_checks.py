"""What is wrong with a profile that its types alone do not see: (key, reason), each with the mend in its words."""

from collections.abc import Iterable, Iterator

import jmespath
from jmespath.exceptions import JMESPathError

from firmware import parameters
from firmware.profile_language import (
    MACHINE_STATE,
    MACHINE_STATES,
    Action,
    Command,
    Condition,
    Near,
    Param,
    Profile,
    Read,
    placeholders,
)

Problems = Iterator[tuple[str, str]]


def problems(profile: Profile) -> Problems:
    """All that is wrong with `profile`, in the order of the file's parts."""
    yield from _path_problems(profile)
    yield from _field_problems(profile)
    actions: dict[str, Action] = {f"commands.{name}": command for name, command in profile.commands.items()}
    actions |= {"stop": profile.stop} | ({"reset": profile.reset} if profile.reset else {})
    reads: dict[str, Read | Action] = {f"reads.{name}": read for name, read in profile.reads.items()}
    for key, part in (reads | actions).items():
        if part.token is not None and part.token not in profile.auth.tokens:
            yield f"{key}.token", f"{part.token!r} is not one of auth.tokens ({', '.join(profile.auth.tokens)})"
    if profile.auth.read_token is not None and profile.auth.read_token not in profile.auth.tokens:
        yield (
            "auth.read_token",
            f"{profile.auth.read_token!r} is not one of auth.tokens ({', '.join(profile.auth.tokens)})",
        )
    if profile.reset:
        yield from _state_problems("reset.from_states", profile.reset.from_states)
    for name, command in profile.commands.items():
        yield from _command_problems(profile, name, command)
    yield from _condition_problems(profile, "stop.stopped", profile.stop.stopped, set())
    if not profile.stop.stopped:
        yield "stop.stopped", "must say how a stopped robot reads; without it a stop could never be confirmed"


def _path_problems(profile: Profile) -> Problems:
    paths = {"replies.refused": profile.replies.refused, "replies.message": profile.replies.message}
    paths |= {f"reads.{name}.taken_at": read.taken_at for name, read in profile.reads.items() if read.taken_at}
    for name, field in profile.fields.items():
        paths |= {f"fields.{name}.from[{i}].path": source.path for i, source in enumerate(field.sources)}
    for key, path in paths.items():
        try:
            jmespath.compile(path)
        except JMESPathError as error:
            yield key, f"not a JMESPath expression: {str(error).splitlines()[0]}"


def _field_problems(profile: Profile) -> Problems:
    if MACHINE_STATE not in profile.fields:
        yield f"fields.{MACHINE_STATE}", "is missing; every robot must say what state it is in"
        return
    for name, field in profile.fields.items():
        if not field.sources:
            yield f"fields.{name}.from", "names no source"
        for index, source in enumerate(field.sources):
            if source.read not in profile.reads:
                yield f"fields.{name}.from[{index}].read", f"{source.read!r}: reads are {', '.join(profile.reads)}"
    for raw, state in profile.fields[MACHINE_STATE].map.items():
        yield from _state_problems(f"fields.{MACHINE_STATE}.map.{raw}", [state])
    if not profile.fields[MACHINE_STATE].map:
        yield f"fields.{MACHINE_STATE}.map", "must map the robot's words to machine states"


def _command_problems(profile: Profile, name: str, command: Command) -> Problems:
    key = f"commands.{name}"
    yield from _state_problems(f"{key}.states", command.states)
    for param_name, param in command.params.items():
        yield from _param_problems(f"{key}.params.{param_name}", param)
    for missing in sorted(set(placeholders([command.body, command.path])) - command.params.keys()):
        yield f"{key}.body", f"${missing} is not one of the command's params"
    if command.kind == "motion" and command.observable and not command.confirm:
        yield f"{key}.confirm", "must say how the robot shows that it obeys; if nothing can, say observable = false"
    if not command.observable and (command.confirm or command.done):
        yield f"{key}.observable", "is false, yet confirm or done says what would show it"
    yield from _condition_problems(profile, f"{key}.confirm", command.confirm, set(command.params))
    yield from _condition_problems(profile, f"{key}.done", command.done, set(command.params))


def _param_problems(key: str, param: Param) -> Problems:
    if param.minimum is not None and param.maximum is not None and param.minimum > param.maximum:
        yield key, f"no value is at least {param.minimum:g} and at most {param.maximum:g}"
    elif param.default is not None and (problem := parameters.typed(param, param.default)[0]):
        yield f"{key}.default", problem


def _condition_problems(profile: Profile, key: str, conditions: list[Condition], params: set[str]) -> Problems:
    for condition in conditions:
        for name, expected in condition.items():
            if name == MACHINE_STATE:  # a typo here would mean that nothing is ever confirmed
                yield from _state_problems(key, expected if isinstance(expected, list) else [expected])
            if isinstance(expected, Near) and not expected.tolerance >= 0:
                yield key, f"the tolerance of {name} must be a number from 0 on"
            if name not in profile.fields:
                yield key, f"{name!r} is not one of fields ({', '.join(profile.fields)})"
            for missing in sorted(set(placeholders(getattr(expected, "near", expected))) - params):
                yield key, f"${missing} is not one of the command's params"


def _state_problems(key: str, states: Iterable[object]) -> Problems:
    for state in states:
        if state not in MACHINE_STATES:
            yield key, f"{state!r} is not a machine state ({', '.join(MACHINE_STATES)})"
