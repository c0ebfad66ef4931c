"""A profile in words: what it reads, tells and can do, what a robot of its kind needs, and what it leaves open."""

from collections.abc import Iterator
from typing import Any

from firmware.language.actions import Action, Command, Param, Setup
from firmware.language.equipment_checks import equipment_tokens
from firmware.language.kind import Profile
from firmware.language.reads import Field
from firmware.language.words import MACHINE_STATE, Near


def summary(profile: Profile) -> list[str]:
    """The profile for people, one line for each thing, under headings."""
    return [
        *_section("Reads", _reads(profile)),
        *_section("Fields", [_field(name, field) for name, field in profile.fields.items()]),
        *_section("Commands", [_command(name, command) for name, command in profile.commands.items()]),
        *_section("Stop and reset", _stop_and_reset(profile)),
        *_section("Setup, called by itself", [_setup(name, call) for name, call in profile.setup.items()]),
        *_section("Equipment", _equipment(profile)),
        *_section("A robot needs at registration", _needs(profile)),
        *_section("Constants, not read", [f"{path}: {why}" for path, why in profile.constants.items()]),
    ]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"  {title}", *(f"    {line}" for line in lines)] if lines else []


def _setup(name: str, call: Setup) -> str:
    when = " or ".join(_condition(one) for one in call.when)
    return f"{name}: {call.title}, {_request(call)}, while {when}, at most every {call.again_after_s:g} s"


def _reads(profile: Profile) -> list[str]:
    found = []
    for name, read in profile.reads.items():
        pace = f"every {read.every_s:g} s" if read.every_s else "at the robot's poll interval"
        token = read.token or profile.auth.read_token
        alive = f", alive while {read.alive} changes" if read.alive else ""
        signed = f"signed with {token}" if token else "not signed"
        found.append(f"{name}: {read.method} {read.path}, {pace}, {signed}{alive}")
    return found


def _field(name: str, field: Field) -> str:
    unit = f" in {field.unit}" if field.unit else "" if field.type == "number" else f" ({field.type})"
    if field.rules:
        inputs = dict.fromkeys(other for rule in field.rules for other in rule.when)
        return f"{name}{unit}: follows from {', '.join(inputs)}"
    return f"{name}{unit}: " + ", else ".join(f"{source.read} → {source.path}" for source in field.sources)


def _command(name: str, command: Command) -> str:
    parts = [f"{command.kind}, {command.method} {command.path}"]
    parts += [f"in {' or '.join(command.states)}"] if command.states else []
    parts += (
        [f"takes {', '.join(_param(key, param) for key, param in command.params.items())}"] if command.params else []
    )
    return f"{name}: {'; '.join(parts)}; {_shown_by(command)}"


def _param(name: str, param: Param) -> str:
    bounds = [f"{bound:.12g}" if bound is not None else "…" for bound in (param.minimum, param.maximum)]
    limits = f" {bounds[0]}..{bounds[1]}" if bounds != ["…", "…"] else ""
    return f"{name}{limits}{f' {param.unit}' if param.unit else ''}"


def _shown_by(command: Command) -> str:
    """How anybody knows that it was obeyed."""
    if command.hold:
        return f"moves while it is held, ended by {command.hold.release}"
    if command.job:
        return "its job is followed"
    if command.confirm:
        names = dict.fromkeys(name for condition in command.confirm for name in condition)
        return f"confirmed by {', '.join(names)} within {command.confirm_within_s:g} s"
    return "not observable: it ends acknowledged, and nothing shows whether the robot obeyed"


def _stop_and_reset(profile: Profile) -> list[str]:
    reset, stop = profile.reset, profile.stop
    told = [f"stop: {_request(stop)}; stopped reads {' or '.join(_condition(one) for one in stop.stopped)}"]
    if reset is None:
        return [*told, "reset: none; a stop can be left at the robot only"]
    return [*told, f"reset: {_request(reset)}, from {' or '.join(reset.from_states)}; must stay for {reset.hold_s:g} s"]


def _request(action: Action) -> str:
    return f"{action.method} {action.path}" + (f", signed with {action.token}" if action.token else ", not signed")


def _condition(condition: dict[str, Any]) -> str:
    return " and ".join(_compared(name, expected) for name, expected in condition.items())


def _compared(name: str, expected: Any) -> str:
    if isinstance(expected, Near):
        return f"{name} within {expected.tolerance:g} of {expected.near}"
    return f"{name} = {' or '.join(map(str, expected)) if isinstance(expected, list) else expected}"


def _equipment(profile: Profile) -> list[str]:
    found = []
    if profile.modules:
        found.append(f"modules: {profile.modules.path}" + _names(" tells ", profile.modules.fields))
        found += [
            f"module {name}: {one.path}" + _names(" tells ", one.fields)
            for name, one in profile.modules.details.items()
        ]
    if profile.registers:
        found.append(
            f"registers: {profile.registers.path}, {'read and written' if profile.registers.write else 'read only'}"
        )
    if profile.lidar:
        found.append(f"LiDAR: {profile.lidar.path}")
    for name, group in profile.config.items():
        access = "read and set" if group.write else "read only"
        found.append(f"configuration {name}: {group.path}, {access}:" + _names(" ", group.settings))
    return found


def _names(word: str, named: dict[str, Any]) -> str:
    return word + ", ".join(named) if named else ""


def _needs(profile: Profile) -> list[str]:
    found = [f"setting {name}: {param.title or param.type}" for name, param in profile.settings.items()]
    for token in profile.auth.tokens:
        signs = ", ".join(_signed_with(profile, token))
        found.append(f"credential {token}: signs {signs or 'nothing'}")
    return found or ["nothing but its address"]


def _signed_with(profile: Profile, token: str) -> Iterator[str]:
    reads = [name for name, read in profile.reads.items() if (read.token or profile.auth.read_token) == token]
    if reads:
        yield f"reads ({', '.join(reads)})"
    yield from (name for name, command in profile.commands.items() if command.token == token)
    yield from (f"setup.{name}" for name, call in profile.setup.items() if call.token == token)
    if profile.stop.token == token:
        yield "stop"
    if profile.reset and profile.reset.token == token:
        yield "reset"
    yield from (key.removesuffix(".token") for key, held in equipment_tokens(profile).items() if held == token)


def warnings(profile: Profile) -> list[str]:
    """What is no error, and yet leaves people with less than they may think."""
    return [*_reading_warnings(profile), *_signing_warnings(profile), *_command_warnings(profile)]


def _reading_warnings(profile: Profile) -> Iterator[str]:
    for name, field in profile.fields.items():
        if field.type == "number" and not field.map and not field.unit and field.shown:
            yield f"fields.{name}: a number without a `unit`; right for a bare count, for nothing else."
    if not any(field.restart_when_falling or field.uptime for field in profile.fields.values()):
        yield "fields: nothing tells a restart. Mark a counter with `restart_when_falling`, or the uptime with `uptime`."
    still = [name for name, read in profile.reads.items() if not read.alive and not read.taken_at]
    if still:
        yield f"reads ({', '.join(still)}): neither `alive` nor `taken_at`; values that are frozen cannot be told from fresh ones."


def _signing_warnings(profile: Profile) -> Iterator[str]:
    for token in profile.auth.tokens:
        if not any(_signed_with(profile, token)):
            yield f"auth.tokens: {token!r} signs nothing; a read or an action says `token`, all reads `auth.read_token`."
    if profile.auth.tokens and not any(read.token or profile.auth.read_token for read in profile.reads.values()):
        yield "auth.read_token: none; every read is sent without a credential, though the robot has some."
    for name in profile.reads:
        if not any(profile.fields_of(name)):
            yield f"reads.{name}: no field is found in it; it is asked for nothing."


def _stop_warnings(profile: Profile) -> Iterator[str]:
    for condition in profile.stop.stopped:
        kinds = {profile.fields[name].type for name in condition if name in profile.fields}
        if MACHINE_STATE not in condition and "flag" not in kinds:
            told = ", ".join(condition)
            yield f"stop.stopped: rests on {told} alone; is there no other time at which a moving robot reads so?"
        for name, expected in condition.items():
            field = profile.fields.get(name)
            if isinstance(expected, Near) and field and None in (field.minimum, field.maximum):
                yield f"stop.stopped: {name} has no `minimum` and `maximum`; whether {expected.tolerance:g} is little cannot be told."


def _command_warnings(profile: Profile) -> Iterator[str]:
    for name, command in profile.commands.items():
        if not command.confirm and not command.job:
            yield f"commands.{name}: not observable; it ends `acknowledged`, which is no proof that the robot obeyed."
        if command.job and not command.job.failed:
            yield f"commands.{name}.job: no word for a failure; one is noticed only when it is no longer followed."
        if command.kind == "motion" and not command.states:
            yield f"commands.{name}: motion without `states`; it is sent whatever the robot is doing."
        for key, param in command.params.items():
            if param.type == "number" and not param.unit:
                yield f"commands.{name}.params.{key}: a number without a unit."
            if (
                param.type in ("number", "integer")
                and command.kind == "motion"
                and None in (param.minimum, param.maximum)
            ):
                yield f"commands.{name}.params.{key}: motion without `minimum` and `maximum`; any number is sent."
    yield from _stop_warnings(profile)
    if profile.stop.token is None and any(command.token for command in profile.commands.values()):
        yield "stop.token: none, though commands have one; is the robot stopped by anybody?"
    if profile.reset is None:
        yield "reset: there is none; people must go to the robot to end a stop."
