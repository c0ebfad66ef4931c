"""What is wrong with the things that a robot can be told: commands, their parameters, jobs and bodies."""

from collections.abc import Iterator
from typing import Any

from firmware import parameters
from firmware.language.actions import Action, Command, Job, Param
from firmware.language.condition_checks import MOVING, condition_problems, state_problems
from firmware.language.kind import Profile
from firmware.language.words import PLACEHOLDER, placeholders

Problems = Iterator[tuple[str, str]]

RESERVED = frozenset({"register_write", "configure", "stop", "reset"})


def action_problems(profile: Profile) -> Problems:
    """(key, reason), in the order of the file's parts."""
    for name, param in profile.settings.items():
        yield from _param_problems(f"settings.{name}", param)
    if profile.reset:
        yield from state_problems("reset.from_states", profile.reset.from_states)
        if moving := sorted(MOVING.intersection(profile.reset.from_states)):
            yield "reset.from_states", f"a robot that is {' or '.join(moving)} is not stopped; a reset leaves a stop"
    for name, command in profile.commands.items():
        yield from _command_problems(profile, name, command)
    for key, action in _actions(profile):
        yield from _body_problems(key, action)


def _actions(profile: Profile) -> Iterator[tuple[str, Action]]:
    yield "stop", profile.stop
    if profile.reset:
        yield "reset", profile.reset
    yield from ((f"commands.{name}", command) for name, command in profile.commands.items())
    yield from ((f"setup.{name}", call) for name, call in profile.setup.items())
    if profile.registers and profile.registers.write:
        yield "registers.write", profile.registers.write
    yield from ((f"config.{name}.write", group.write) for name, group in profile.config.items() if group.write)


def _body_problems(key: str, action: Action) -> Problems:
    if action.body is None:
        return
    if action.encode == "text" and not isinstance(action.body, str):
        yield f"{key}.body", 'is sent as text, so it must be one string: "G0 X$target_m"'
    if action.encode == "form" and not (
        isinstance(action.body, dict) and not any(isinstance(value, dict | list) for value in action.body.values())
    ):
        yield f"{key}.body", "is sent as a form, so it must be a table without tables or lists in it"


def _within_texts(template: Any) -> Iterator[str]:
    """The names that stand within a longer string: there is no leaving them out."""
    if isinstance(template, str) and not PLACEHOLDER.fullmatch(template):
        yield from placeholders(template)
    elif isinstance(template, dict | list):
        for value in template.values() if isinstance(template, dict) else template:
            yield from _within_texts(value)


def _command_problems(profile: Profile, name: str, command: Command) -> Problems:
    key = f"commands.{name}"
    yield from state_problems(f"{key}.states", command.states)
    if name in RESERVED:
        yield key, f"{name!r} is the name of something that robotctl does itself; take another"
    if command.job:
        yield from _job_problems(f"{key}.job", command.job)
    needed = {*placeholders(command.path), *_within_texts(command.body)}
    for param_name, param in command.params.items():
        yield from _param_problems(f"{key}.params.{param_name}", param)
        if param_name in needed and not param.required and param.default is None:
            yield f"{key}.params.{param_name}", "stands within a path or a text; it must be required or have a default"
    if command.kind == "motion" and command.observable and not command.confirm and not command.job:
        yield f"{key}.confirm", "must say how the robot shows that it obeys; if nothing can, say observable = false"
    if not command.observable and (command.confirm or command.done or command.job):
        yield f"{key}.observable", "is false, yet confirm or done says what would show it"
    yield from condition_problems(profile, f"{key}.confirm", command.confirm, set(command.params))
    yield from condition_problems(profile, f"{key}.done", command.done, set(command.params))


def _param_problems(key: str, param: Param) -> Problems:
    if param.minimum is not None and param.maximum is not None and param.minimum > param.maximum:
        yield key, f"no value is at least {param.minimum:g} and at most {param.maximum:g}"
    elif param.default is not None and (problem := parameters.typed(param, param.default)[0]):
        yield f"{key}.default", problem
    elif param.example is not None and (problem := parameters.typed(param, param.example)[0]):
        yield f"{key}.example", problem
    for choice in param.choices if param.sent else ():
        if choice not in param.sent:
            yield f"{key}.sent", f"does not say what {choice!r} is sent as"


def _job_problems(key: str, job: Job) -> Problems:
    if job.path and "job" not in set(placeholders(job.path)):
        yield f"{key}.path", "must say where the job's name goes: $job"
    if not job.done:
        yield f"{key}.done", "names no state; the job would never be seen done"
    means: dict[str, str] = {}
    for kind in ("working", "done", "failed"):
        for word in getattr(job, kind):
            if means.setdefault(word, kind) != kind:
                yield f"{key}.{kind}", f"{word!r} is in `{means[word]}`, too; it can mean one thing"
