"""Control and stop as two people see them on their own pages."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from realtime.tests.test_console_browser import ROBOT, calm, move_to, open_robot
from robotctl.tests.fixtures import until

pytestmark = [pytest.mark.system, pytest.mark.browser]


@pytest.fixture
def other(browser: Browser) -> Any:
    """Another person's browser."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_one_holds_control_the_other_sees_why_not_and_an_engineer_may_break_it(
    page: Page, other: Page, console: Any
) -> None:
    open_robot(page, console, "operator")
    calm(page, console)
    expect(page.locator("#control-who")).to_have_text(re.compile("^Nobody holds control"))
    page.get_by_role("button", name="Take control").click()
    expect(page.locator("#control-who")).to_have_text(re.compile("^Control: you, until"))

    open_robot(other, console, "engineer")
    expect(other.locator("#control-who")).to_have_text(re.compile("^operator holds control since"))
    expect(other.locator("[data-command=move] button[type=submit]")).to_be_disabled()
    expect(other.locator("#why-move")).to_have_text(re.compile("^operator holds control since"))
    expect(other.locator(f'[data-stop="{ROBOT}"]')).to_be_enabled()
    other.get_by_role("button", name="Break…").click()
    other.locator("#control-reason").fill("shift change")
    other.get_by_role("button", name="Break it").click()
    expect(other.locator("#control-who")).to_have_text(re.compile("^Nobody holds control"))
    expect(page.locator("#control-who")).to_have_text(re.compile("^Nobody holds control"))
    expect(page.locator("#story")).to_contain_text("Broke the control of operator")

    other.get_by_role("button", name="Take control").click()
    expect(page.locator("#why-move")).to_have_text(re.compile("^engineer holds control since"))
    other.get_by_role("button", name="Give it back").click()
    expect(page.locator("[data-command=move] button[type=submit]")).to_be_enabled()


def test_a_note_does_not_say_stopped_of_a_robot_that_was_reset(page: Page, console: Any) -> None:
    open_robot(page, console, "engineer")
    calm(page, console)
    note = page.locator(f'[data-stop-note="{ROBOT}"]')
    before = note.text_content()
    page.locator(f'[data-stop="{ROBOT}"]').click()
    expect(note).to_have_text(re.compile("confirmed stopped"))
    page.locator('[data-stop="*"]').click()
    expect(page.locator('[data-stop-note="*"]')).to_have_text(re.compile("3 of 3 confirmed stopped"))
    calm(page, console)
    expect(note).to_have_text(before or "")
    expect(page.locator('[data-stop-note="*"]')).not_to_contain_text("confirmed stopped")
    move_to(page, 60)
    expect(page.locator("#state")).to_have_text("moving")
    expect(page.locator("body")).not_to_contain_text("confirmed stopped ·")
    page.locator("[data-command=halt] button[type=submit]").click()


def test_a_robot_that_left_its_stop_is_said_to_have_left_it(page: Page, console: Any) -> None:
    open_robot(page, console, "engineer")
    calm(page, console)
    note = page.locator(f'[data-stop-note="{ROBOT}"]')
    page.locator(f'[data-stop="{ROBOT}"]').click()
    expect(note).to_have_text(re.compile("confirmed stopped"))
    index = [robot["slug"] for robot in console.system.demo].index(ROBOT)
    console.system.control(
        index, "fault", {"fault": "restart"}
    )  # an emergency stop does not survive a restart of the firmware
    expect(note).to_have_text(re.compile("left the stop without a reset"), timeout=20_000)
    calm(page, console)


def test_a_person_writes_down_what_came_of_an_unknown_outcome(page: Page, console: Any) -> None:
    open_robot(page, console, "operator")
    calm(page, console)
    index = [robot["slug"] for robot in console.system.demo].index(ROBOT)
    console.system.control(index, "fault", {"fault": "no_reply_once", "path": "/api/v1/motion/segment/start"})
    move_to(page, 30)
    last = page.locator("#last li").first
    expect(last).to_have_attribute("data-status", "outcome_unknown", timeout=15_000)
    last.get_by_label("What did you see at the robot?").fill("it drove to 30 m")
    last.get_by_role("button", name="Resolve").click()
    expect(last).to_contain_text("Resolved by operator: it drove to 30 m")
    expect(last.get_by_role("button", name="Resolve")).to_be_hidden()
    expect(page.locator("#story")).to_contain_text("resolved by a person")
    console.system.control(index, "clear", {})  # the robot answers after all: no motion request is out any more
    expect(page.locator("#story")).to_contain_text("the robot answered after all", timeout=10_000)
    expect(last).to_contain_text("Resolved by operator")
    page.locator("[data-command=halt] button[type=submit]").click()
    expect(page.locator("#state")).to_have_text("idle", timeout=15_000)
    until(
        lambda: console.system.state(ROBOT)["readings"]["speed_mps"]["value"] == 0
    )  # braked, for the tests that follow
