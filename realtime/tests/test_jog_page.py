"""Jog on the robot's page: it moves while the button is held, and not a moment longer."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import ROBOT, calm, sign_in
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.browser


@pytest.fixture
def robot_page(page: Page, console: Any) -> Iterator[Page]:
    sign_in(page, console)
    calm(page, console)
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    expect(page.locator("#link .words")).to_have_text("live")
    expect(page.get_by_label("Jog forward")).to_be_enabled()
    yield page
    until(lambda: at_rest(console), timeout_s=10)


def truth(console: Any) -> dict[str, Any]:
    found: dict[str, Any] = console.system.control(0)["robots"][0]
    return found


def at_rest(console: Any) -> bool:
    return bool(truth(console)["state"] == "IDLE" and truth(console)["speed_mps"] == 0)


def last_command(console: Any) -> dict[str, Any]:
    found: dict[str, Any] = console.system.call("viewer", "GET", f"robots/{ROBOT}/commands/?page_size=1").json()[
        "results"
    ][0]
    return found


def way(console: Any) -> str:
    return "Jog forward" if truth(console)["position_m"] < 50 else "Jog backward"


def test_it_moves_while_the_button_is_held(robot_page: Page, console: Any) -> None:
    before = truth(console)["position_m"]
    robot_page.get_by_label(way(console)).hover()
    robot_page.mouse.down()
    until(lambda: truth(console)["state"] == "MOVE", timeout_s=5)
    robot_page.wait_for_timeout(2_500)  # longer than a sign is good for
    assert truth(console)["state"] == "MOVE"
    robot_page.mouse.up()
    until(lambda: truth(console)["state"] == "IDLE", timeout_s=2)
    assert abs(truth(console)["position_m"] - before) > 0.1
    expect(robot_page.locator("#story")).to_contain_text("let go, halting")


def test_a_key_holds_it_too(robot_page: Page, console: Any) -> None:
    robot_page.get_by_label(way(console)).focus()
    robot_page.keyboard.down(" ")
    until(lambda: truth(console)["state"] == "MOVE", timeout_s=5)
    robot_page.keyboard.up(" ")
    until(lambda: truth(console)["state"] == "IDLE", timeout_s=2)


def test_a_tab_that_is_closed_ends_it(robot_page: Page, console: Any) -> None:
    robot_page.get_by_label(way(console)).hover()
    robot_page.mouse.down()
    until(lambda: truth(console)["state"] == "MOVE", timeout_s=5)
    robot_page.close()
    until(lambda: truth(console)["state"] == "IDLE", timeout_s=4)


def test_a_web_process_that_goes_ends_it(robot_page: Page, console: Any) -> None:
    robot_page.get_by_label(way(console)).hover()
    robot_page.mouse.down()
    until(lambda: truth(console)["state"] == "MOVE", timeout_s=5)
    until(
        lambda: last_command(console)["status"] == "confirmed", timeout_s=5
    )  # an unanswered motion would hold up stops
    assert console.web is not None
    console.web.kill()
    console.web.wait(10)
    console.web = None
    until(lambda: truth(console)["state"] in ("IDLE", "ESTOP"), timeout_s=6)
    robot_page.mouse.up()
    console.start_web()
    calm(robot_page, console)
