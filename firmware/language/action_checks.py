"""What is wrong with the things that a robot can be told: commands, their parameters, jobs and bodies."""

from collections.abc import Iterator
from typing import Any

from firmware import parameters
from firmware.language.actions import Action, Command, Hold, Job, Param
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
        if moving := sorted((MOVING | {"idle"}).intersection(profile.reset.from_states)):
            yield "reset.from_states", f"a robot that is {' or '.join(moving)} is not stopped; a reset leaves a stop"
    for name, command in profile.commands.items():
        yield from _command_problems(profile, name, command)
    for key, action in _actions(profile):
        yield from _body_problems(key, action)
    yield from _movers(profile)
    for name, group in profile.config.items():
        for key, setting in group.settings.items():
            yield from _param_problems(f"config.{name}.settings.{key}", setting)


def _actions(profile: Profile) -> Iterator[tuple[str, Action]]:
    yield "stop", profile.stop
    if profile.reset:
        yield "reset", profile.reset
    yield from ((f"commands.{name}", command) for name, command in profile.commands.items())
    yield from ((f"setup.{name}", call) for name, call in profile.setup.items())
    if profile.registers and profile.registers.write:
        yield "registers.write", profile.registers.write
    yield from ((f"config.{name}.write", group.write) for name, group in profile.config.items() if group.write)


def _movers(profile: Profile) -> Problems:
    """A request that moves the robot, or lets it out of its stop, under another name: it would be sent to a robot that is stopped."""
    known = {f"commands.{name}": command for name, command in profile.commands.items() if command.kind == "motion"}
    does: dict[str, tuple[Action, str]] = {key: (command, "moves the robot") for key, command in known.items()}
    if profile.reset:
        does["reset"] = (profile.reset, "lets it out of its stop")
    for key, action in _actions(profile):
        same = next((one for one, (other, _) in does.items() if one != key and _may_be(other, action)), None)
        if same is not None and getattr(action, "kind", "") != "motion" and key != "reset":
            yield key, f"may be the same request as {same}, which {does[same][1]}"


def _may_be(one: Action, other: Action) -> bool:
    """Whether the two may send the same, for some values of their parameters."""
    if (one.method, one.path.partition("?")[0]) != (other.method, other.path.partition("?")[0]):
        return False
    return _alike(one.body, other.body)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, str) and isinstance(other, str):
        heads = [PLACEHOLDER.split(text)[0].casefold() for text in (one, other)]
        open_ = [bool(PLACEHOLDER.search(text)) for text in (one, other)]
        if any(open_):
            return heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])
    template = one if isinstance(one, str) and PLACEHOLDER.fullmatch(one) else other
    return bool(one == other) or (isinstance(template, str) and PLACEHOLDER.fullmatch(template) is not None)


def _body_problems(key: str, action: Action) -> Problems:
    if action.body is None:
        return
    if action.method == "GET":
        yield f"{key}.body", "a GET carries no body; say it in the path, or take another method"
    if action.encode == "json" and isinstance(action.body, str) and action.body.lstrip()[:1] in ("{", "["):
        yield (
            f"{key}.body",
            'would be sent as one quoted string; write it as a table: { x = "$x" }, or say encode = "text"',
        )
    if action.body == "$values" and action.encode == "text":
        yield f"{key}.body", "$values is a table; it cannot be sent as text"
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
    if command.hold:
        yield from _hold_problems(profile, key, command, command.hold)
    needed = {*placeholders(command.path), *_within_texts(command.body)}
    for param_name, param in command.params.items():
        yield from _param_problems(f"{key}.params.{param_name}", param)
        if param_name in needed and not param.required and param.default is None:
            yield f"{key}.params.{param_name}", "stands within a path or a text; it must be required or have a default"
    if command.kind == "stop" and command.params:
        yield (
            f"{key}.params",
            'what ends a motion takes none; with parameters it does something else: class = "motion" or "config"',
        )
    if command.kind == "read" and command.method != "GET":
        yield (
            f"{key}.class",
            "`read` only looks, and is sent in every state; what does something is motion, stop or config",
        )
    if command.kind == "motion" and command.observable and not command.confirm and not command.job:
        yield f"{key}.confirm", "must say how the robot shows that it obeys; if nothing can, say observable = false"
    if not command.observable and (command.confirm or command.done or command.job):
        yield f"{key}.observable", "is false, yet confirm or done says what would show it"
    yield from condition_problems(profile, f"{key}.confirm", command.confirm, set(command.params))
    yield from condition_problems(profile, f"{key}.done", command.done, set(command.params))


def _param_problems(key: str, param: Param) -> Problems:
    if param.choices and param.type != "text":
        yield f"{key}.choices", 'are texts; say type = "text", and with `sent` what the robot wants instead'
    if param.type in ("text", "flag") and (param.minimum, param.maximum) != (None, None):
        yield f"{key}.minimum", f"a {param.type} has no range"
    if param.minimum is not None and param.maximum is not None and param.minimum > param.maximum:
        yield key, f"no value is at least {param.minimum:g} and at most {param.maximum:g}"
    elif param.default is not None and (problem := parameters.typed(param, param.default)[0]):
        yield f"{key}.default", problem
    elif param.example is not None and (problem := parameters.typed(param, param.example)[0]):
        yield f"{key}.example", problem
    for choice in param.choices if param.sent else ():
        if choice not in param.sent:
            yield f"{key}.sent", f"does not say what {choice!r} is sent as"


def _hold_problems(profile: Profile, key: str, command: Command, hold: Hold) -> Problems:
    if command.kind != "motion":
        yield f"{key}.class", 'is held while it moves; then it is class = "motion"'
    speed = command.params.get(hold.speed)
    if speed is None or speed.type != "number":
        yield f"{key}.hold.speed", f"{hold.speed!r} must be a number among its params"
    elif speed.minimum is None or speed.maximum is None or not speed.minimum < 0 < speed.maximum:
        yield f"{key}.params.{hold.speed}", "needs a minimum below 0 and a maximum above: its sign is the direction"
    if hold.forward.keys() != hold.backward.keys():
        yield f"{key}.hold.backward", "must say the same names as `forward`"
    ends = profile.commands.get(hold.release)
    if (
        ends is None
        or ends.kind != "stop"
        or any(param.required and param.default is None for param in ends.params.values())
    ):
        yield f"{key}.hold.release", f'{hold.release!r} must be a command of class = "stop" without parameters'


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
