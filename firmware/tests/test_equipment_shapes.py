"""What robots say of their parts, however odd: bounded, printable, and nothing invented."""

from typing import Any

import pytest

from firmware import equipment_shapes
from firmware.language.actions import Param
from firmware.language.equipment import Group, Item, Lidar, Modules, Registers, Setting

MODULES = Modules(path="/m", entries="@", address="no", fields={"kind": Item(path="what", type="text")})
TABLE = Registers(path="/r/$module", entries="cells", address="key", value="val", writable="rw == 'rw'", unit="u")


@pytest.mark.parametrize("address", [None, {"a": 1}, [], "", "x" * 61, "a\0b", "a\nb"])
def test_what_is_no_address_is_no_module(address: Any) -> None:
    assert equipment_shapes.modules(MODULES, [{"no": address, "what": "drive"}]) == {"modules": []}


@pytest.mark.parametrize(("address", "expected"), [(7, "7"), (7.0, "7"), ("0x10", "0x10")])
def test_addresses_are_words(address: Any, expected: str) -> None:
    (found,) = equipment_shapes.modules(MODULES, [{"no": address, "what": "dri\0ve"}])["modules"]
    assert found == {"address": expected, "values": {"kind": "dri ve"}}


@pytest.mark.parametrize("reply", [None, 5, "text", {}, {"cells": None}, {"cells": 5}, {"cells": "x"}])
def test_a_reply_of_another_shape_has_no_registers(reply: Any) -> None:
    assert equipment_shapes.registers(TABLE, reply) == {"registers": []}


def test_a_table_is_bounded_and_its_words_are_printable() -> None:
    cells = {str(number): {"val": number, "rw": "r", "u": "m\0V"} for number in range(5000)}
    found = equipment_shapes.registers(TABLE, {"cells": cells})["registers"]
    assert len(found) == equipment_shapes.REGISTERS_AT_MOST
    assert (found[3]["raw"], found[3]["unit"], found[3]["writable"]) == (3, "m V", False)


@pytest.mark.parametrize("value", [None, "sixty", "", [1], {"x": 1}])
def test_a_register_value_that_is_no_number_is_not_known(value: Any) -> None:
    assert equipment_shapes.registers(TABLE, {"cells": {"1": {"val": value}}})["registers"][0]["raw"] is None


@pytest.mark.parametrize(("told", "raw"), [("60", 60), (" -3 ", -3), ("23.5", 23.5), ("1e3", 1000.0)])
def test_a_register_value_written_as_text_is_a_number(told: str, raw: float) -> None:
    assert equipment_shapes.registers(TABLE, {"cells": {"1": {"val": told}}})["registers"][0]["raw"] == raw


def test_no_echo_is_no_point() -> None:
    spec = Lidar(path="/l", distances="cm", first_deg="first", step_deg=2, scale=10, maximum_mm=1000)
    found = equipment_shapes.scan(spec, {"cm": [0, 50, 200, None, True, -3, 60], "first": -90})
    assert found == {"points": [[-88.0, 500, None], [-78.0, 600, None]], "nearest_mm": 500}


def test_settings_are_told_as_people_give_them() -> None:
    spec = Group(
        path="/s",
        settings={
            "speed_mps": Setting(path="v", scale=1000),
            "side": Setting(path="s", type="text", choices=["left", "right"], sent={"left": 0, "right": 1}),
            "name": Setting(path="n", type="text"),
            "gone": Setting(path="g"),
        },
    )
    found = equipment_shapes.settings(spec, {"v": 700, "s": 1, "n": "a\0b"})
    assert found == {"values": {"speed_mps": 0.7, "side": "right", "name": "a b", "gone": None}}


@pytest.mark.parametrize(
    ("setting", "said", "given"),
    [
        (Setting(path="v"), "1.5", 1.5),
        (Setting(path="v", scale=1000), "1500", 1.5),
        (Setting(path="v", type="integer"), 3.0, 3),
        (Setting(path="v", type="flag"), 1, True),
        (Setting(path="v", type="flag"), "False", False),
        (Setting(path="v", type="flag", sent={"true": "on", "false": "off"}), "off", False),
        (Setting(path="v", type="text"), 15, "15"),
        (Setting(path="v"), "auto", "auto"),
        (Setting(path="v"), {"deep": 1}, None),
    ],
)
def test_a_setting_reads_as_it_is_asked_for(setting: Setting, said: Any, given: Any) -> None:
    """What a robot says in text, in digits or in its own words equals what somebody asked for, or nothing is ever confirmed."""
    found = equipment_shapes.settings(Group(path="/s", settings={"x": setting}), {"v": said})["values"]["x"]
    assert (found, type(found)) == (given, type(given))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1.0, True),
        (0.7, 0.7000000001, True),
        (1, True, False),
        (None, None, False),
        ("1", 1, False),
        ("a", "a", True),
    ],
)
def test_two_settings_are_the_same_when_they_say_the_same(one: Any, other: Any, expected: bool) -> None:
    assert equipment_shapes.same(one, other) is expected


def test_a_parameter_is_sent_in_the_robots_unit() -> None:
    from firmware import parameters

    assert parameters.sent({"x": Param(scale=1000)}, {"x": 12.5}) == {"x": 12500}
