"""Looking: it answers, asks who is there, tells what the profile says it tells, and refuses in words."""

import statistics
import textwrap
import time
from typing import Any

import pytest

from firmware import recorder, state
from firmware.client import Observation, RobotClient
from firmware.errors import FirmwareError, NotFound, Rejected
from firmware.language.equipment import Fetch
from firmware.language.words import MACHINE_STATE
from firmware.tests.contract.report import NOT_TOLD, NOTED, SEEN
from firmware.tests.contract.subject import Subject

pytestmark = pytest.mark.django_db(transaction=True)
WRONG = "not-one-of-this-robot"


def test_it_answers_the_state_read(subject: Subject, saw: Any) -> None:
    """answers"""
    took = []
    for _ in range(5):
        began = time.monotonic()
        subject.client.read(subject.spec.state_read)
        took.append((time.monotonic() - began) * 1000)
    saw(f"in {statistics.median(took):.0f} ms, the slowest of 5 in {max(took):.0f} ms")


def stranger(subject: Subject, credentials: dict[str, str]) -> RobotClient:
    """A client of the same robot that holds other credentials."""
    return RobotClient(
        slug=subject.robot.slug, base_url=subject.robot.base_url, profile=subject.spec, credentials=credentials
    )


def refusal(call: Any) -> Rejected | None:
    """The robot's refusal, or None when it obeyed."""
    try:
        call()
    except Rejected as refused:
        assert str(refused).strip(), "it refuses without a word"
        return refused
    return None


def test_reads_ask_who_is_there(subject: Subject, saw: Any) -> None:
    """credential for reads"""
    spec, name = subject.spec, subject.spec.state_read
    token = spec.reads[name].token or spec.auth.read_token
    if token is None:
        subject.client.read(name)
        saw("asks nobody who he is: answers without one", verdict=NOTED)
        return
    nobody = refusal(lambda: stranger(subject, {}).read(name))
    wrong = refusal(lambda: stranger(subject, {token: WRONG}).read(name))
    subject.client.read(name)
    if nobody is None or wrong is None:
        saw(f"{token} is sent, yet it answers {'without' if nobody is None else 'with a wrong one'}", verdict=NOTED)
    else:
        saw(f"without: {said(nobody)}; wrong: {said(wrong)}; with {token}: answered")


def test_actions_ask_who_is_there(may_act: None, acting: Subject, saw: Any) -> None:
    """credential for stop"""
    token = acting.spec.stop.token
    if token is None:
        saw("asks nobody who he is: the profile names none", verdict=NOTED)
        return
    nobody, wrong = (refusal(stranger(acting, held).stop) for held in ({}, {token: WRONG}))
    if nobody is None or wrong is None:
        saw(f"{token} is sent, yet it stops {'without' if nobody is None else 'with a wrong one'}", verdict=NOTED)
    else:
        saw(f"without: {said(nobody)}; wrong: {said(wrong)}")


def said(refused: Rejected) -> str:
    return f"{refused.code}, {textwrap.shorten(str(refused), 80, placeholder=' …')!r}"


def test_a_path_that_is_not_there_is_refused_in_words(subject: Subject, saw: Any) -> None:
    """refusal in words"""
    read = subject.spec.reads[subject.spec.state_read]
    above = read.path.partition("?")[0].rpartition("/")[0]
    fetch = Fetch(path=f"{above}/there-is-no-such-thing", token=read.token)
    try:
        refused = refusal(lambda: subject.client.fetch(fetch))
    except FirmwareError as error:  # a page for people, perhaps
        refused = None
        saw(f"a path that is not there: {error}", title="path that is not there", verdict=NOTED)
    if refused is not None:
        what = "a path that is not there" if isinstance(refused, NotFound) else "a path"
        saw(f"{what}: {said(refused)}")
        return
    token = read.token or subject.spec.auth.read_token
    assert token is not None, "it refuses no path, and asks nobody who he is: no refusal was seen"
    refused = refusal(lambda: stranger(subject, {token: WRONG}).read(subject.spec.state_read))
    assert refused is not None, "it refuses neither a path nor a credential: no refusal was seen"
    saw(f"a wrong credential: {said(refused)}")


def observed(subject: Subject, name: str) -> Observation:
    """One read, written down as the poll loop does. What tells nothing yet, or only old values, is read again for a while."""
    read = subject.spec.reads[name]
    patient = read.absent or read.taken_at  # it may have nothing to tell at this moment
    until = time.monotonic() + (min(2 * (read.every_s or 1.0) + 8.0, 20.0) if patient else 0.0)
    while True:
        seen = subject.client.read(name)
        recorder.record([recorder.Contact.seen(subject.robot.pk, seen)])
        fresh = seen.values and {subject.told(field)["quality"] for field in seen.values} == {"live"}
        if fresh or time.monotonic() > until:
            return seen
        time.sleep(0.25)


def shown(value: Any, unit: str | None) -> str:
    plain = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{plain[:60]} {unit}" if unit else plain[:60]


def test_a_read_gives_its_fields_live(read: str, subject: Subject, saw: Any) -> None:
    """read {read}"""
    seen, spec = observed(subject, read), subject.spec
    took_ms = (seen.ended_at - seen.began_at) * 1000 if spec.reads[read].taken_at is None else None
    if not seen.values and spec.reads[read].absent:
        saw("answers; nothing to read now", verdict=NOTED)
        return
    number = "1 field" if len(seen.values) == 1 else f"{len(seen.values) or 'none of its'} fields"
    told_by_it = SEEN if seen.values else NOTED
    saw(f"answers {number}" + (f" in {took_ms:.0f} ms" if took_ms is not None else ""), verdict=told_by_it)
    for name in seen.values:
        told = subject.told(name)
        assert told["quality"] == "live", f"{name} is {told['quality']}, {told['age_s']} s old"
        assert 0 <= told["age_s"] <= state.live_for_s(subject.robot, spec, name), f"{name} is {told['age_s']} s old"
        assert told["unit"] == spec.fields[name].unit
        assert told["value"] is not None
        if name != MACHINE_STATE:  # it has a test of its own
            saw(f"{shown(told['value'], told['unit'])}, {told['age_s'] * 1000:.0f} ms old", title=name)
    for name in missing(subject, read, seen):
        saw(f"looked for in {', '.join(subject.spec.reads_of(name))}", title=name, verdict=NOT_TOLD)


def missing(subject: Subject, read: str, seen: Observation) -> list[str]:
    """The fields that neither this read gave, nor another that may; each under the read that is named first for it."""
    found = [name for name, _ in subject.spec.fields_of(read) if name not in seen.values]
    if found:
        subject.look(1)
    values = subject.values()
    return [name for name in found if name not in values and subject.spec.reads_of(name)[0] == read]


def test_the_machine_state_is_told(subject: Subject, saw: Any) -> None:
    """machine_state"""
    document = subject.look()
    told, words = document[MACHINE_STATE], subject.spec.fields[MACHINE_STATE].map
    assert (told["quality"], document["mode"]) == ("live", "online"), document["link"]["last_error"]
    known = told["value"] != "unknown" or "unknown" in words.values()
    assert known, f"the robot's word for its state is not in fields.{MACHINE_STATE}.map"
    saw(f"{told['value']}, {told['age_s'] * 1000:.0f} ms old; the link is {document['mode']}")


def test_fields_that_follow_from_others_are_told(subject: Subject, saw: Any) -> None:
    """fields by rules"""
    if not subject.spec.derived:
        saw("the profile has none", verdict=NOTED)
        return
    subject.look()
    for name in subject.spec.derived:
        told = subject.told(name)
        live = told["quality"] == "live"
        assert live or name != MACHINE_STATE, "the machine state does not follow from what was read"
        saw(shown(told["value"], told["unit"]), title=name, verdict="seen" if live else NOT_TOLD)
