"""Stop is confirmed by what the robot reads, latches, and is left only by a reset whose state stays."""

import time
from typing import Any

import pytest

from firmware import reset
from firmware.tests.contract.report import NOTED
from firmware.tests.contract.subject import Subject

pytestmark = pytest.mark.django_db(transaction=True)
STAYS_S = 1.0


def test_a_stop_is_confirmed_and_latches(acting: Subject, saw: Any) -> None:
    """stop"""
    moved = acting.set_moving()
    was = f"out of {acting.machine_state}" + (f" after {moved}" if moved else "")
    result = acting.press_stop()
    assert result.status == "confirmed", result.detail
    saw(f"{was}: confirmed in {result.shape()['elapsed_ms']:.0f} ms, sent {result.attempts} time(s)")

    time.sleep(STAYS_S)
    document = acting.look()
    assert document["stop"]["latched"] and document["stop"]["status"] == "confirmed"
    assert document["stop"]["left_at"] is None, "it left its stop by itself"
    motions = [name for name, command in acting.spec.commands.items() if command.kind == "motion"]
    codes = {name: document["commands"][name]["code"] for name in motions}
    assert set(codes.values()) <= {"stop_latched"}, codes
    refused = f"; {', '.join(motions)} refused" if motions else ""
    saw(f"still {acting.machine_state} after {STAYS_S:g} s{refused}", title="stop latch")


def test_a_reset_leaves_the_stop(acting: Subject, saw: Any) -> None:
    """reset"""
    stopped = acting.press_stop()
    assert stopped.status == "confirmed", stopped.detail
    result = reset.reset(acting.robot, reason="contract suite")
    if acting.spec.reset is None:
        assert result["code"] == "no_reset" or result["status"] == "confirmed", result["detail"]
        saw(result["detail"], verdict=NOTED)
        return
    assert result["status"] == "confirmed", result["detail"]
    time.sleep(STAYS_S)
    document = acting.look()
    assert not document["stop"]["latched"]
    assert not acting.is_stopped(), f"it reads {acting.machine_state} again"
    motions = [name for name, command in acting.spec.commands.items() if command.kind == "motion"]
    assert acting.motions() or not motions, "after its reset no motion is allowed"
    saw(f"{result['detail']} ({result['elapsed_ms']:.0f} ms); still {acting.machine_state} {STAYS_S:g} s later")
