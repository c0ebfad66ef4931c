"""What is wrong with a profile that its types alone do not see: (key, reason), each with the mend in its words."""

import difflib
import re
from collections.abc import Iterator

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from firmware.language.action_checks import action_problems
from firmware.language.condition_checks import condition_problems, condition_sense, state_problems
from firmware.language.equipment_checks import equipment_expressions, equipment_problems, equipment_tokens, fetches
from firmware.language.idle_checks import idle_problems, too_slow
from firmware.language.kind import Profile
from firmware.language.path_checks import function_problem, path_problems
from firmware.language.placeholders import placeholder_problems
from firmware.language.reads import Ask
from firmware.language.sense_checks import sense_problems
from firmware.language.words import MACHINE_STATE

Problems = Iterator[tuple[str, str]]


def problems(profile: Profile) -> Problems:
    """All that is wrong with `profile`, in the order of the file's parts."""
    yield from _expression_problems(profile)
    yield from _patterns_problems(profile)
    yield from sense_problems(profile)
    yield from path_problems(profile)
    yield from idle_problems(profile)
    yield from condition_sense(profile)
    yield from _field_problems(profile)
    yield from _token_problems(profile)
    yield from _reply_problems(profile)
    yield from action_problems(profile)
    in_rules = [*_rule_problems(profile), *_rest_problems(profile)]
    yield from in_rules or too_slow(profile)  # what rests on what can be followed only where that is right
    yield from condition_problems(profile, "stop.stopped", profile.stop.stopped, set())
    if not profile.stop.stopped:
        yield "stop.stopped", "must say how a stopped robot reads; without it a stop could never be confirmed"
    for name, call in profile.setup.items():
        yield from condition_problems(profile, f"setup.{name}.when", call.when, set())
    yield from equipment_problems(profile)
    yield from placeholder_problems(profile)


def _expression_problems(profile: Profile) -> Problems:
    """Every JMESPath of the file, wherever the language has one."""
    raw = msgspec.to_builtins(profile)
    named = {
        "replies.refused": profile.replies.refused,
        "replies.message": profile.replies.message,
        **{
            f"reads.{name}.{key}": path
            for name, read in profile.reads.items()
            for key, path in (("taken_at", read.taken_at), ("clock", read.clock), ("alive", read.alive))
        },
        **{
            f"fields.{name}.from[{i}].path": source.path
            for name, field in profile.fields.items()
            for i, source in enumerate(field.sources)
        },
        **{
            f"commands.{name}.job.{key}": getattr(command.job, key)
            for name, command in profile.commands.items()
            if command.job
            for key in ("id", "state", "why")
        },
        **equipment_expressions(profile, raw),
    }
    for key, path in named.items():
        if path is None:
            continue
        try:
            jmespath.compile(path)
        except JMESPathError as error:
            yield key, f"not a JMESPath expression: {_path_words(path, error)}"
        if reason := function_problem(path):
            yield key, reason


def _patterns_problems(profile: Profile) -> Problems:
    """Every regular expression of the file."""
    asked: dict[str, Ask] = {f"reads.{name}": read for name, read in profile.reads.items()} | fetches(profile)
    for key, ask in asked.items():
        if ask.pattern is not None:
            yield from _pattern_problems(f"{key}.pattern", ask.pattern, named=True)
    for name, command in profile.commands.items():
        if command.job and command.job.pattern is not None:
            yield from _pattern_problems(f"commands.{name}.job.pattern", command.job.pattern, named=True)
    if profile.replies.refused_text is not None:
        yield from _pattern_problems("replies.refused_text", profile.replies.refused_text, named=False)


def _path_words(path: str, error: JMESPathError) -> str:
    """What is wrong, with the path, and how things are written in one."""
    words = re.sub(
        r"^(Bad|Invalid) jmespath expression: |: Parse error at column \d+.*",
        "",
        str(error).splitlines()[0],
        flags=re.I,
    )
    words = words.removesuffix(":").replace(", token", "")
    hint = (
        "compare with =="
        if re.search(r"[^=!<>]=[^=]", path)
        else "texts stand in 'quotes', numbers, true, false and null in `backticks`"
    )
    return f"{words} in {path!r}; {hint}" if path.strip() else words


REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")


def _pattern_problems(key: str, pattern: str, *, named: bool) -> Problems:
    if REPEATED_GROUP.search(pattern):  # (a+)+ takes for ever on the wrong text, and everybody waits with it
        yield key, "must not repeat a group: on some texts that never ends; name what stands between instead"
        return
    try:
        if not re.compile(pattern).groupindex and named:
            yield key, "names no group; (?P<state>...) becomes `state`"
    except re.error as error:
        yield key, f"not a regular expression: {error}"


def _token_problems(profile: Profile) -> Problems:
    known = profile.auth.tokens
    holders: dict[str, str | None] = {f"reads.{name}.token": read.token for name, read in profile.reads.items()}
    holders |= {f"commands.{name}.token": command.token for name, command in profile.commands.items()}
    holders |= {f"commands.{n}.job.token": c.job.token for n, c in profile.commands.items() if c.job}
    holders |= {f"setup.{name}.token": call.token for name, call in profile.setup.items()}
    holders |= {"stop.token": profile.stop.token, "auth.read_token": profile.auth.read_token}
    holders |= {"reset.token": profile.reset.token} if profile.reset else {}
    holders |= equipment_tokens(profile)
    for key, token in holders.items():
        if token is not None and token not in known:
            near = difflib.get_close_matches(token, known, n=1)
            mend = f" Did you mean {near[0]!r}?" if near else ""
            yield key, f"{token!r} is not one of auth.tokens ({', '.join(known) or 'there are none'}).{mend}"
    if profile.auth.template and "$token" not in profile.auth.template:
        yield "auth.template", "must say where the token goes: $token"


def _reply_problems(profile: Profile) -> Problems:
    """A status cannot mean two things."""
    meanings: dict[int, str] = {}
    for kind in ("not_now", "not_allowed", "not_found", "unreachable"):
        for status in getattr(profile.replies, kind):
            if status < 400:
                yield (
                    f"replies.{kind}",
                    f"{status} is no refusal; a robot that says no with a yes is known by `refused`",
                )
            if status in meanings:
                yield f"replies.{kind}", f"{status} is in replies.{meanings[status]}, too; it can mean one thing"
            meanings[status] = kind
    asked: dict[str, Ask] = {f"reads.{name}": read for name, read in profile.reads.items()} | fetches(profile)
    for key, ask in asked.items():
        for status in ask.absent:
            if not (200 <= status < 300 or 404 <= status < 500):
                yield f"{key}.absent", f'{status} is a refusal or a failure, never "nothing to read"'
        for status in set(ask.accept) & set(ask.absent):
            yield f"{key}.absent", f"{status} is in `accept`, too; either it tells something, or nothing"


def _field_problems(profile: Profile) -> Problems:
    if MACHINE_STATE not in profile.fields:
        yield f"fields.{MACHINE_STATE}", "is missing; every robot must say what state it is in"
        return
    for name, field in profile.fields.items():
        if not field.sources and not field.rules:
            yield f"fields.{name}.from", "names no source"
        if field.sources and field.rules:
            yield f"fields.{name}.rules", "a value is found in replies (`from`) or follows from other fields (`rules`)"
        for index, source in enumerate(field.sources):
            if source.read not in profile.reads:
                yield f"fields.{name}.from[{index}].read", f"{source.read!r}: reads are {', '.join(profile.reads)}"
        if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
            yield f"fields.{name}.minimum", f"no value is at least {field.minimum:g} and at most {field.maximum:g}"
    yield from _machine_state_problems(profile)


def _rest_problems(profile: Profile) -> Problems:
    """What a field rests on must be read itself, or ages would go in circles."""
    for name, field in profile.fields.items():
        for other in field.rests_on:
            key = f"fields.{name}.rests_on"
            if other not in profile.fields:
                yield key, f"{other!r} is not one of fields ({', '.join(profile.fields)})"
            elif other == name or profile.fields[other].rests_on or profile.fields[other].rules:
                yield key, f"{other!r} does not stand by itself; name a field that is read and rests on nothing"


def _machine_state_problems(profile: Profile) -> Problems:
    state = profile.fields[MACHINE_STATE]
    for raw, word in state.map.items():
        yield from state_problems(f"fields.{MACHINE_STATE}.map.{raw}", [word])
    if state.sources and not state.map:
        yield f"fields.{MACHINE_STATE}.map", "must map the robot's words to machine states"
    for index, rule in enumerate(state.rules):
        yield from state_problems(f"fields.{MACHINE_STATE}.rules[{index}].value", [rule.value])


def _rule_problems(profile: Profile) -> Problems:
    for name, field in profile.fields.items():
        for index, rule in enumerate(field.rules):
            key = f"fields.{name}.rules[{index}].when"
            for other in rule.when:
                if other in profile.fields and not profile.fields[other].sources:
                    yield key, f"{other!r} follows from other fields itself; a rule rests on what is read"
            yield from condition_problems(profile, key, [rule.when], set())
        if field.rules and not any(rule.when for rule in field.rules):
            yield f"fields.{name}.rules", "rests on no field"
        elif field.rules and field.rules[-1].when:
            yield f"fields.{name}.rules", 'must say what it is otherwise: end with { when = {}, value = "…" }'
