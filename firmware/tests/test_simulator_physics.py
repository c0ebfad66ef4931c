"""The rail and the state machine by themselves: pure functions of time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.simulator.machine import Machine, State
from firmware.simulator.physics import EMERGENCY_DECEL_MPS2, Motion, advance, brake, run_to

metres = st.integers(0, 100_000).map(lambda millimetres: millimetres / 1000)


@given(metres, metres, st.floats(0.05, 2.0), st.floats(0.05, 1.0), st.lists(st.floats(0, 30), max_size=20))
def test_any_run_keeps_its_limits_and_ends_exactly_however_it_is_read(
    origin: float, target: float, speed: float, accel: float, steps: list[float]
) -> None:
    motion = run_to(Motion(at_s=0.0, position_m=origin), target, speed, accel)
    ends_at = motion.ends_at_s
    for step in steps:
        motion = advance(motion, motion.at_s + step)
        assert abs(motion.speed_mps) <= speed + 1e-6
        assert min(origin, target) - 1e-6 <= motion.position_m <= max(origin, target) + 1e-6
    motion = advance(motion, ends_at + 1000)
    assert (motion.position_m, motion.speed_mps, motion.moving) == (target, 0.0, False)


@given(st.floats(0.1, 40), st.floats(0.1, 60))
def test_the_way_does_not_depend_on_how_often_it_is_read(first: float, later: float) -> None:
    start = run_to(Motion(at_s=0.0, position_m=0.0), 80.0, 2.0, 0.5)
    once = advance(start, first + later)
    twice = advance(advance(start, first), first + later)
    assert once.position_m == pytest.approx(twice.position_m, abs=1e-6)
    assert once.battery_percent == pytest.approx(twice.battery_percent, abs=1e-6)


def test_an_emergency_brakes_shorter_than_a_controlled_stop() -> None:
    moving = advance(run_to(Motion(at_s=0.0, position_m=10.0), 90.0, 2.0, 0.5), 10.0)
    assert moving.speed_mps == pytest.approx(2.0)
    hard, soft = brake(moving, EMERGENCY_DECEL_MPS2), brake(moving, moving.accel_mps2)
    assert hard.end_m - moving.position_m == pytest.approx(2 / 3)
    assert soft.end_m - moving.position_m == pytest.approx(4.0)
    assert advance(hard, 11.0).speed_mps == 0


def test_moving_drains_more_than_standing_and_the_dock_charges() -> None:
    away = Motion(at_s=0.0, position_m=50.0, battery_percent=50.0)
    standing = advance(away, 60.0).battery_percent
    moving = advance(run_to(away, 90.0, 2.0, 0.5), 60.0).battery_percent
    docked = advance(replace(away, position_m=0.1), 60.0).battery_percent
    assert moving < standing < 50.0 < docked
    assert advance(away, 1e9).battery_percent == 0
    assert advance(replace(away, position_m=0.0), 1e9).battery_percent == 100


def test_boot_is_two_transitions() -> None:
    machine = Machine(entered_s=0.0, boot_s=2.0)
    machine.expire(1.5, working=False)
    assert machine.state is State.INIT
    machine.expire(2.0, working=False)
    assert (machine.state, machine.previous, machine.transitions) == (State.IDLE, State.INIT, 2)
    assert machine.last_event == "INIT_COMPLETE"


@pytest.mark.parametrize(
    ("events", "limit_s"),
    [(["MOVE_COMMAND"], 30), (["MOVE_COMMAND", "PAUSE_COMMAND"], 60), (["DOCK_COMMAND"], 15), (["CONFIG_COMMAND"], 10)],
)
def test_a_state_without_work_times_out_and_one_with_work_does_not(events: list[str], limit_s: float) -> None:
    machine = Machine(entered_s=0.0)
    machine.expire(0.0, working=False)
    for event in events:
        assert machine.fire(event, 0.0)
    held = machine.state
    machine.expire(limit_s + 1, working=True)
    assert machine.state is held
    machine.expire(limit_s - 1, working=False)
    assert machine.state is held
    machine.expire(limit_s, working=False)
    assert machine.state is State.IDLE


def test_an_event_without_a_transition_changes_nothing() -> None:
    machine = Machine(entered_s=0.0, state=State.SAFE)
    assert not machine.fire("EMERGENCY_STOP", 1.0)
    assert (machine.state, machine.transitions) == (State.SAFE, 0)
