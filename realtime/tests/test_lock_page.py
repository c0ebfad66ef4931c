"""A page that nobody touches: covered, and STOP stays."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.conftest import Console
from realtime.tests.test_console_browser import ROBOT
from realtime.tests.test_jog_page import at_rest, truth, way
from robotctl.tests.fixtures import until
from robotctl.tests.system import System, free_port

pytestmark = pytest.mark.browser
LOCKS_AFTER_S = 6


@pytest.fixture(scope="module")
def hasty_web(system: System) -> Iterator[Console]:
    """A web process whose sessions are locked within seconds."""
    running = Console(system, free_port())
    os.environ["ROBOTCTL_LOCK_AFTER_S"] = str(LOCKS_AFTER_S)
    try:
        running.start_web()
    finally:
        del os.environ["ROBOTCTL_LOCK_AFTER_S"]
    yield running
    running.stop_web()


@pytest.fixture
def robot_page(page: Page, hasty_web: Console) -> Iterator[Page]:
    hasty_web.system.free_control()
    sign_in(page, hasty_web)
    page.goto(f"{hasty_web.base_url}/robots/{ROBOT}/")
    expect(page.locator("#link .words")).to_have_text("live")
    yield page
    until(lambda: at_rest(hasty_web), timeout_s=10)
    if hasty_web.system.state(ROBOT)["stop"]["latched"]:
        hasty_web.system.call("engineer", "POST", f"robots/{ROBOT}/stop/reset/", {"reason": "next test"})


def sign_in(page: Page, console: Console, name: str = "operator") -> None:
    page.goto(f"{console.base_url}/sign-in/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(console.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{console.base_url}/")


def covered(page: Page) -> None:
    expect(page.locator("#lock")).to_be_visible(timeout=(LOCKS_AFTER_S + 6) * 1_000)
    expect(page.locator("main")).to_be_hidden()


def unlock(page: Page, password: str) -> None:
    page.get_by_label("Password of operator").fill(password)
    page.get_by_role("button", name="Unlock").click()


def test_left_alone_it_is_covered_and_the_password_brings_it_back(robot_page: Page, hasty_web: Console) -> None:
    expect(robot_page.locator("#lock")).to_be_hidden()
    covered(robot_page)
    expect(robot_page.get_by_label("Password of operator")).to_be_focused()
    unlock(robot_page, "not the password")
    expect(robot_page.locator("#lock-trouble")).to_have_text("This is not your password.")
    unlock(robot_page, hasty_web.password)
    expect(robot_page.locator("#lock")).to_be_hidden()
    expect(robot_page.locator("#state")).to_be_visible()
    expect(robot_page.locator("#link .words")).to_have_text("live")


def test_stop_works_while_it_is_locked(robot_page: Page, hasty_web: Console) -> None:
    covered(robot_page)
    expect(robot_page.locator("#link .words")).to_have_text("live")
    robot_page.locator("#lock [data-stop]").click()
    expect(robot_page.locator("#lock [data-stop-note]")).to_contain_text("confirmed stopped")
    robot_page.locator("#stop-all .stop").click()
    expect(robot_page.locator("#stop-all-note")).to_contain_text("confirmed stopped")
    for robot in hasty_web.system.demo:
        answer = hasty_web.system.call("engineer", "POST", f"robots/{robot['slug']}/stop/reset/", {"reason": "test"})
        assert answer.status_code == 200


def test_touching_it_keeps_it_open(robot_page: Page) -> None:
    for _ in range(LOCKS_AFTER_S * 2):
        robot_page.mouse.move(200, 300)
        robot_page.mouse.move(220, 320)
        robot_page.wait_for_timeout(1_000)
        expect(robot_page.locator("#lock")).to_be_hidden()


def test_all_tabs_are_locked_and_unlocked_together_and_a_reload_shows_nothing(
    robot_page: Page, hasty_web: Console
) -> None:
    other = robot_page.context.new_page()
    other.goto(f"{hasty_web.base_url}/")
    covered(robot_page)
    covered(other)
    other.reload()
    expect(other).to_have_url(f"{hasty_web.base_url}/unlock/?next=%2F")
    expect(other.locator("#stop-all .stop")).to_be_visible()
    unlock(robot_page, hasty_web.password)
    expect(other).to_have_url(f"{hasty_web.base_url}/")
    expect(other.locator(f"#tile-{ROBOT}")).to_be_visible()


def test_a_jog_is_let_go_when_the_page_is_locked(robot_page: Page, hasty_web: Console) -> None:
    expect(robot_page.get_by_label("Jog forward")).to_be_enabled()
    robot_page.get_by_label(way(hasty_web)).hover()
    robot_page.mouse.down()
    until(lambda: truth(hasty_web)["state"] == "MOVE", timeout_s=5)
    robot_page.evaluate("dispatchEvent(new Event('robotctl-session-locked'))")
    expect(robot_page.locator("#lock")).to_be_visible()
    until(lambda: truth(hasty_web)["state"] == "IDLE", timeout_s=2)
    robot_page.mouse.up()


def test_the_unlock_page_leads_back_to_the_robot_and_breaks_no_policy(robot_page: Page, hasty_web: Console) -> None:
    troubles: list[Any] = []
    robot_page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    robot_page.goto("about:blank")
    robot_page.wait_for_timeout((LOCKS_AFTER_S + 1) * 1_000)
    robot_page.goto(f"{hasty_web.base_url}/robots/{ROBOT}/")
    expect(robot_page).to_have_url(f"{hasty_web.base_url}/unlock/?next=%2Frobots%2F{ROBOT}%2F")
    expect(robot_page.locator(f"#lock [data-stop={ROBOT}]")).to_be_visible()
    assert troubles == []
    unlock(robot_page, hasty_web.password)
    expect(robot_page).to_have_url(f"{hasty_web.base_url}/robots/{ROBOT}/")
    expect(robot_page.locator("#lock")).to_be_hidden()


def test_an_open_page_of_the_admin_is_covered_with_stop_all_on_it_and_keeps_what_was_typed(
    page: Page, hasty_web: Console
) -> None:
    troubles: list[Any] = []
    sign_in(page, hasty_web, "admin")
    page.on("console", lambda message: troubles.append(message.text) if "Security Policy" in message.text else None)
    page.goto(f"{hasty_web.base_url}/admin/accounts/user/add/")
    expect(page.locator("#lock")).to_be_hidden()
    page.locator("#id_username").fill("half-typed")
    expect(page.locator("#lock")).to_be_visible(timeout=(LOCKS_AFTER_S + 6) * 1_000)
    expect(page.get_by_label("Password of admin")).to_be_focused()
    expect(page.locator("#id_username")).to_be_hidden()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#lock')")
    page.locator("#lock [data-stop]").click()
    expect(page.locator("#lock [data-stop-note]")).to_contain_text("confirmed stopped")
    for robot in hasty_web.system.demo:
        hasty_web.system.call("engineer", "POST", f"robots/{robot['slug']}/stop/reset/", {"reason": "test"})
    page.get_by_label("Password of admin").fill(hasty_web.password)
    page.get_by_role("button", name="Unlock").click()
    expect(page.locator("#lock")).to_be_hidden()
    expect(page.locator("#id_username")).to_have_value("half-typed")
    assert troubles == []
