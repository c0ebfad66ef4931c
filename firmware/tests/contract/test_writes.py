"""What is set stays set, is read back, and is put back; calls that go out by themselves move nothing. Registers are not written."""

import time
from typing import Any

import pytest

from firmware import conditions, equipment_shapes, orders, readback
from firmware.errors import Rejected
from firmware.language.actions import Param
from firmware.language.equipment import Group
from firmware.tests.contract.kinds import Kind
from firmware.tests.contract.report import NOT_TOLD, NOTED, SAID_SO
from firmware.tests.contract.subject import Subject

pytestmark = pytest.mark.django_db(transaction=True)
MOVES_WITHIN_S = 2.0


def test_a_setting_is_written_read_back_and_put_back(group: str, kind: Kind, acting: Subject, saw: Any) -> None:
    """set {group}"""
    spec = acting.spec.config[group]
    try:
        before = _values(acting, spec)
    except Rejected as refused:
        saw(f"refused: {str(refused)!r}", verdict=NOT_TOLD)
        return
    name, value = next(
        ((name, other) for name in before if (other := _other(spec.settings[name], before[name])) is not None),
        ("", None),
    )
    if not name:
        saw("no setting that is told and has another value to try", verdict=NOTED)
        return
    shown = _set(acting, group, {name: value})
    after = _values(acting, spec)
    back = _set(acting, group, {name: before[name]})  # whatever came of it, the robot is left as it was found
    if shown:
        assert back, f"{name} is {value} now, and does not go back to {before[name]}"
        saw(f"{name}: {before[name]} → {value} → {before[name]}")
    else:
        words = f"{name} was set to {value}, and reads {after.get(name)}"
        assert f"set {group}" in kind.expect, f"{words}; put back. Where the robot rounds, say `tolerance`"
        saw(f"{words}: this robot ignores it", verdict=SAID_SO)


def _values(subject: Subject, spec: Group) -> dict[str, Any]:
    found = subject.client.fetch(spec)
    values = equipment_shapes.settings(spec, found[0])["values"] if found else {}
    return {name: value for name, value in values.items() if value is not None and spec.settings[name].writable}


def _other(param: Param, value: Any) -> Any:
    """Another value that may be asked for; None where none is known."""
    if param.type == "flag":
        return not value
    if param.type == "text":
        return next((choice for choice in param.choices if choice != value), None)
    if param.minimum is None or param.maximum is None or not isinstance(value, int | float):
        return None
    step = (
        max(1, round((param.maximum - param.minimum) / 20))
        if param.type == "integer"
        else (param.maximum - param.minimum) / 20
    )
    return value + step if value + step <= param.maximum else value - step


def _set(subject: Subject, group: str, values: dict[str, Any]) -> bool:
    """Send it as the product would; whether the robot shows it."""
    order = orders.order(subject.spec, orders.CONFIGURE, {"group": group, "values": values})
    order.send(subject.client, send_by=time.monotonic() + order.deadline_s, on_late=lambda _: None, unless=lambda: None)
    return readback.watch(order, subject.client).shown


def test_registers_are_not_written_here(kind: Kind, subject: Subject, saw: Any) -> None:
    """write a register"""
    if subject.spec.registers and subject.spec.registers.write:
        saw(
            "not tried: a wrong value may harm the machine; write one of yours from the admin or the API", verdict=NOTED
        )
    else:
        saw("the profile writes none", verdict=NOTED)


def test_a_call_that_goes_out_by_itself_moves_nothing(call: str, acting: Subject, saw: Any) -> None:
    """setup {call}"""
    spec = acting.spec.setup[call]
    if not conditions.hold(spec.when, acting.values()):
        saw("not needed now, so it was not tried", verdict=NOTED)
        return
    acting.client.act(spec, {}, what=f"setup {call}")
    until = time.monotonic() + MOVES_WITHIN_S
    while time.monotonic() < until:
        acting.look(1)
        assert acting.machine_state not in ("moving", "docking"), "it moves the robot; then it is a motion command"
        time.sleep(0.1)
    saw(f"called; it reads {acting.machine_state}")
