"""Every command of the profile: told by somebody who may, and believed only when the robot's state shows it."""

import time
from typing import Any

import pytest

from firmware import conditions, parameters
from firmware.language.actions import Command
from firmware.tests.contract.kinds import Kind, Machine
from firmware.tests.contract.report import NOTED, SAID_SO, SEEN
from firmware.tests.contract.subject import Subject

DONE_WITHIN_S = 15.0
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_command_is_obeyed(command: str, kind: Kind, machine: Machine, acting: Subject, saw: Any) -> None:
    """command {command}"""
    spec = acting.spec.commands[command]
    _make_room(command, spec, machine, acting)
    params = acting.telling(command)
    held = conditions.hold(spec.confirm, acting.values(), parameters.check(spec.params, params))
    if held and spec.kind == "stop" and acting.set_moving():
        held = conditions.hold(spec.confirm, acting.values(), params)
    ended = acting.send(command, params)
    expected = kind.expect.get(command)
    words = ", ".join(f"{key} = {value}" for key, value in ended.params.items())
    words += ": " if words else ""
    if expected is not None:
        assert (ended.status, ended.code) == expected, f"{ended.code or ended.status}: {ended.detail}"
        verb = "refused" if ended.status == "rejected" else "not obeyed"
        saw(f"{words}{verb} by this robot, and said so: {ended.detail}", verdict=SAID_SO)
        return
    after = "confirmed" if spec.confirm or spec.job else "acknowledged"
    assert ended.status == after, f"{ended.code or ended.status}: {ended.detail}"
    assert ended.attempts == 1
    if spec.confirm:
        assert conditions.hold(spec.confirm, acting.values(), ended.params), "the state document does not show it"
    assert ended.ended_at is not None and ended.sent_at is not None
    assert not (held and spec.kind == "motion"), (
        f"confirm held before it was sent ({_shown(spec, acting)}): this shows nothing; give an `example` that changes something"
    )
    words += "held before it was sent; " if held else ""
    words += f"{ended.status} in {(ended.ended_at - ended.sent_at).total_seconds() * 1000:.0f} ms"
    words += f", it reads {_shown(spec, acting)}" if spec.confirm else f" ({ended.detail})"
    if spec.done or spec.job:
        words += _its_end(ended, acting)
    if spec.kind == "motion":
        words += f", {acting.calm_down(sure=spec.observable)}"
    saw(words, verdict=NOTED if held or "not seen" in words else SEEN)


def _its_end(ended: Any, subject: Subject) -> str:
    """Whether it is also seen to be done, where that does not take long."""
    until = time.monotonic() + DONE_WITHIN_S
    while time.monotonic() < until:
        subject.look(1)
        ended.refresh_from_db()
        if ended.done_at is not None:
            return f", done after {(ended.done_at - ended.sent_at).total_seconds():.1f} s"
        assert ended.code != "job_failed", ended.detail
        time.sleep(0.2)
    return f", its end not seen within {DONE_WITHIN_S:g} s"


def _shown(spec: Command, subject: Subject) -> str:
    """What the robot says of all that could confirm the command."""
    values, names = subject.values(), dict.fromkeys(name for condition in spec.confirm for name in condition)
    return ", ".join(f"{name} = {values[name]}" for name in names if name in values)


def _make_room(name: str, spec: Command, machine: Machine, subject: Subject) -> None:
    """Bring the robot to where the command is allowed: by somebody's hand, or by moving it."""
    if hand := machine.prepare.get(name):
        hand()
        subject.look()
    else:
        subject.into(spec.states)
