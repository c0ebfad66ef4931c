"""A sequence on the robot's page: put together from its forms, seen while it runs, and said how it ended."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import ROBOT, calm, sign_in
from realtime.tests.test_jog_page import at_rest, truth
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.browser


@pytest.fixture
def robot_page(page: Page, console: Any) -> Iterator[Page]:
    sign_in(page, console)
    calm(page, console)
    until(lambda: at_rest(console), timeout_s=30)
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    expect(page.locator("#link .words")).to_have_text("live")
    expect(page.get_by_role("button", name="Move", exact=True)).to_be_enabled()
    yield page
    until(lambda: at_rest(console), timeout_s=30)


def step(page: Page, target: float) -> None:
    form = page.locator('[data-command="move"]')
    form.get_by_label("Target").fill(str(target))
    form.get_by_role("button", name="+ step").click()


def test_steps_are_put_together_started_and_seen_to_their_end(robot_page: Page, console: Any, browser: Any) -> None:
    start_m = truth(console)["position_m"]
    away = 1 if start_m < 50 else -1
    for metres in (2.0, 0.5, 1.0):
        step(robot_page, round(start_m + away * metres, 2))
    steps = robot_page.locator("#sequence-steps li")
    expect(steps).to_have_count(3)
    assert at_rest(console), "nothing is sent before it is started"
    robot_page.reload()
    expect(steps).to_have_count(3)  # what was put together is not lost
    steps.nth(2).get_by_role("button", name="Remove").click()
    steps.nth(1).get_by_role("button", name="Earlier").click()
    steps.nth(1).get_by_role("button", name="Earlier").click()
    expect(steps).to_have_count(2)

    viewer = browser.new_context().new_page()
    sign_in(viewer, console, "viewer")
    viewer.goto(f"{console.base_url}/robots/{ROBOT}/")
    robot_page.get_by_role("button", name="Start the sequence").click()
    expect(robot_page.locator("#sequence-why")).to_contain_text(
        re.compile(r"operator started it; step [12] of 2 is under way\.")
    )
    expect(viewer.locator("#sequence-why")).to_contain_text("operator started it")
    expect(viewer.get_by_role("button", name="Send no further step")).to_be_hidden()
    expect(steps.nth(0)).to_contain_text("✓", timeout=20_000)
    expect(robot_page.locator("#sequence-outcome")).to_have_text("✓ All 2 steps are done.", timeout=20_000)
    assert truth(console)["position_m"] == pytest.approx(start_m + away * 0.5, abs=0.02)
    expect(robot_page.locator("#story")).to_contain_text("Sequence: done ✓")
    viewer.context.close()


def test_a_stop_ends_it_and_the_page_says_where(robot_page: Page, console: Any) -> None:
    start_m = truth(console)["position_m"]
    away = 1 if start_m < 50 else -1
    step(robot_page, round(start_m + away * 20, 2))
    step(robot_page, round(start_m, 2))
    robot_page.get_by_role("button", name="Start the sequence").click()
    until(lambda: truth(console)["state"] == "MOVE")
    expect(robot_page.locator('#last [data-status="confirmed"]').first).to_be_visible()
    robot_page.locator(f'[data-stop="{ROBOT}"]').click()
    ended = re.compile(r"The sequence has ended\. Step 1 of 2 \(move\): the robot was stopped\. Nothing further")
    expect(robot_page.locator("#sequence-outcome")).to_have_text(ended, timeout=10_000)
    calm(robot_page, console)


def test_a_command_that_waits_for_a_second_person_is_seen_on_the_fleet(page: Page, console: Any) -> None:
    from realtime.tests.test_approval_page import asked

    sign_in(page, console, "viewer")
    mark = page.locator(f"#tile-{ROBOT} [data-part=approvals]")
    expect(mark).to_be_hidden()
    command = asked(console, "for the fleet")
    expect(mark).to_have_text("▲ 1 to approve")
    console.system.call("engineer", "POST", f"commands/{command}/cancel/", {})
    expect(mark).to_be_hidden()
