"""Tries a robot's address as its profile would, and tells in words what answers and what does not.

Strictly looking: only the profile's reads and fetches go out, one at a time, through RobotClient, which never hangs up on
a robot that owes an answer. No command, no setup, no stop.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from firmware import conditions, replies
from firmware.client import Observation, RobotClient
from firmware.errors import BadProfile, Busy, Frozen, Unreachable
from firmware.language.kind import Profile
from firmware.language.words import MACHINE_STATE
from firmware.probing import auth, equipment, fit, network
from firmware.probing.asking import Asked, Asker, Target, prepare
from firmware.probing.words import PATHS_AT_MOST, Found, Report, Scrubber, Step, explain, hangs, paths_in

LIMIT_S = 60.0


def probe(target: Target, *, limit_s: float = LIMIT_S) -> Report:
    """All that can be told of the target in about `limit_s`, without a secret in it."""
    report = Report(network.shown(target.url), target.profile)
    report.steps += network.look(target.url)
    if report.steps[-1].ok:
        asker = Asker(time.monotonic() + limit_s)
        if target.profile is None:
            _find_out(report, target, asker)
        else:
            _as(report, target, target.profile, asker)
        report.hung = asker.hung
    return _without_secrets(report, Scrubber(list(target.credentials.values())))


def _find_out(report: Report, target: Target, asker: Asker) -> None:
    """Try every installed profile, and show the best in full."""
    report.fits, asked = fit.find(target, asker)
    found = fit.best(report.fits)
    if found is None or asker.hung:
        report.steps += [_http(asked[0])] if asked else []
        report.steps += [_hanging(one) for one in asked[1:] if one.error and hangs(one.error)]
        report.advice += [] if asker.hung else fit.advice(asked)
        return
    report.profile = found.profile
    _as(report, target, found.profile, asker, guessed=True)


def _as(report: Report, target: Target, name: str, asker: Asker, *, guessed: bool = False) -> None:
    """The whole look, by one profile. `guessed`: nobody vouches for it, so nothing is sent but GET."""
    try:
        client = prepare(target, name)
    except BadProfile as error:
        ours = error.key.startswith(("settings", "credentials", "base_url"))
        mend = "Give it as the profile asks for it." if ours else "`manage.py check_profile` says what is wrong."
        report.steps.append(Step("profile", False, None, str(error), mend))
        return
    try:
        report.title = client.profile.about.title
        _look(report, target, client, asker, guessed)
    finally:
        if client is not target.client:
            client.close()


def _look(report: Report, target: Target, client: RobotClient, asker: Asker, guessed: bool) -> None:
    kind, names = client.profile, _in_order(client.profile)
    first = asker.read(client, names[0]) if not guessed or kind.reads[names[0]].method == "GET" else None
    if first is not None:
        report.steps.append(_http(first))
        if isinstance(first.error, Unreachable):
            return
        report.steps += auth.steps(target, client, names[0], first, asker)
    seen: list[Observation] = []
    for index, name in enumerate(names):
        if asker.hung and index:
            report.steps.append(_not_asked(names[index:]))
            break
        if guessed and kind.reads[name].method != "GET":
            report.steps.append(
                Step(f"read {name}", None, None, "Not asked: it is a POST, and nobody named the profile.")
            )
            continue
        asked = first if index == 0 and first is not None else asker.read(client, name)
        report.steps.append(_read_step(kind, name, asked))
        seen += [asked.value] if asked.value else []
    if not asker.hung:
        report.steps += equipment.look(client, asker)
    report.steps += [_constant(path, why) for path, why in kind.constants.items()]
    _show(report, kind, seen)
    _advise(report, target, kind, seen)


def _in_order(kind: Profile) -> list[str]:
    """The reads, those that tell the machine state first."""
    first = kind.reads_of(MACHINE_STATE)
    return first + [name for name in kind.reads if name not in first]


def _http(first: Asked[Any]) -> Step:
    """Whether it speaks HTTP at all, by its first answer."""
    error = first.error
    if error is None or isinstance(error, Frozen):
        return Step("HTTP", True, first.ms, "It answers.")
    if error.status:
        return Step("HTTP", True, first.ms, f"It answers, with status {error.status}.", status=error.status)
    words, mend = explain(error)
    return Step("HTTP", None if isinstance(error, Busy) else False, first.ms, words, mend)


def _hanging(asked: Asked[Any]) -> Step:
    assert asked.error is not None
    words, mend = explain(asked.error)
    return Step("search", False, asked.ms, words, mend)


def _read_step(kind: Profile, name: str, asked: Asked[Any]) -> Step:
    fields = dict(kind.fields_of(name))
    if asked.error is not None:
        words, mend = explain(asked.error)
        ok = None if isinstance(asked.error, Busy) else False
        return Step(f"read {name}", ok, asked.ms, words, mend, asked.error.status, missing=tuple(fields))
    assert asked.value is not None
    seen: Observation = asked.value
    age_s = round(max(0.0, seen.ended_at - seen.began_at), 3)
    found = tuple(
        Found(field, fields[field].title or field, value, fields[field].unit, age_s)
        for field, value in seen.values.items()
    )
    missing = tuple(field for field in fields if field not in seen.values)
    words = ", ".join(f"{one.name} = {value_words(one)}" for one in found)
    words = f"{words}, {age_s:g} s old." if found else "It answers."
    if not missing:
        return Step(f"read {name}", True, asked.ms, words, found=found)
    words += f" Not given: {', '.join(missing)}."
    mend = "" if found else "Nothing to read now; or `taken_at` finds no time; or the paths do not fit this reply."
    if has := list(itertools.islice(paths_in(seen.said), PATHS_AT_MOST)):
        mend = f"{mend} The reply has: {', '.join(has)}.".strip()
    return Step(f"read {name}", bool(found) or None, asked.ms, words, mend, found=found, missing=missing)


def value_words(one: Found) -> str:
    """A value with its unit, — where there is none."""
    value = one.value
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = f"{value:.9g}" if isinstance(value, float) else str(value)
    return f"{words} {one.unit}" if one.unit else words


def _state_words(kind: Profile, seen: list[Observation]) -> Iterator[str]:
    """What the robot itself calls its state."""
    for source in kind.fields[MACHINE_STATE].sources:
        for one in seen:
            said = replies.find(source.path, one.said) if one.read == source.read else None
            if isinstance(said, str | int | float):
                yield repr(replies.printable(replies.word(said)[:60]))


def _not_asked(names: list[str]) -> Step:
    return Step(f"read {', '.join(names)}", None, None, "Not asked: the robot owes an answer to an earlier request.")


def _constant(path: str, why: str) -> Step:
    return Step(f"constant {path}", None, None, f"Not read, since what it says is a constant: {why}.")


def _show(report: Report, kind: Profile, seen: list[Observation]) -> None:
    """What would be shown: each field from the first of its sources that gave one, and what follows from them."""
    by_read = {one.read: one for one in seen}
    now, observed = time.time(), dict[str, tuple[Any, float]]()
    for name, field in kind.fields.items():
        given = (by_read[s.read] for s in field.sources if s.read in by_read and name in by_read[s.read].values)
        if (first := next(given, None)) is not None:
            observed[name] = (first.values[name], first.began_at)
    observed |= conditions.derived(kind, observed)
    for name, field in kind.fields.items():
        value, since = observed.get(name, (None, now))
        age_s = None if value is None else round(max(0.0, now - since), 3)
        if name == MACHINE_STATE:
            report.machine_state, report.machine_state_age_s = value, age_s
        elif field.shown:
            report.readings.append(Found(name, field.title or name, value, field.unit, age_s))


def _advise(report: Report, target: Target, kind: Profile, seen: list[Observation]) -> None:
    if report.machine_state is None:
        report.advice.append(
            "Its machine state is not read: robotctl would not know what it does, and send it no motion."
        )
    elif report.machine_state == "unknown":
        words = ", ".join(dict.fromkeys(_state_words(kind, seen))) or "nothing"
        report.advice.append(f"Its state reads `unknown`; it says {words}: put that into `fields.{MACHINE_STATE}.map`.")
    missing = [name for name in kind.auth.tokens if not target.credentials.get(name)]
    if missing:
        report.advice.append(f"Not given, so what they sign was not tried: credentials {', '.join(missing)}.")
    if kind.setup:
        report.advice.append(f"Before use robotctl would call {', '.join(kind.setup)} where needed; a probe does not.")


def _without_secrets(report: Report, scrubber: Scrubber) -> Report:
    def value(one: Found) -> Found:
        return replace(one, value=scrubber.clean(one.value))

    report.steps = [
        replace(
            step, words=scrubber.clean(step.words), mend=scrubber.clean(step.mend), found=tuple(map(value, step.found))
        )
        for step in report.steps
    ]
    report.readings = [value(one) for one in report.readings]
    report.fits = [replace(fit, why=scrubber.clean(fit.why)) for fit in report.fits]
    report.machine_state = scrubber.clean(report.machine_state)
    report.advice = [scrubber.clean(words) for words in report.advice]
    report.url = scrubber.clean(report.url)
    return report
