"""The matrix as a grid: an administrator takes a right away, and an operator's open page loses the button within a second."""

import re
import time
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import ROBOT, sign_in

pytestmark = pytest.mark.browser


def test_the_grid_takes_a_right_away_and_a_page_loses_its_button(page: Page, console: Any, browser: Any) -> None:
    sign_in(page, console, "operator")
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    expect(page.locator("#link .words")).to_have_text("live")
    expect(page.get_by_label("Jog forward")).to_be_enabled()

    admin = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    sign_in(admin, console, "admin")
    grid = f"{console.base_url}/admin/accounts/role/matrix"
    admin.goto(grid)
    expect(admin.locator("#matrix thead")).to_contain_text("Operator")
    assert admin.get_by_label("Engineer inherits robot.jog").count() == 1
    box = admin.get_by_label("Operator has robot.jog itself")
    expect(box).to_be_checked()
    box.uncheck()
    admin.get_by_role("button", name="Save the matrix").click()
    expect(admin.get_by_text("The matrix is in force.")).to_be_visible()
    saved_at = time.monotonic()
    expect(page.get_by_label("Jog forward")).to_be_disabled(timeout=1_000)
    assert time.monotonic() - saved_at < 1.5

    why = console.system.call("admin", "GET", f"robots/{ROBOT}/access/why/?user=operator&action=robot.jog").json()
    assert not why["allowed"] and "does not include robot.jog" in why["because"][0]["text"]
    admin.get_by_label("Operator has not robot.jog").check()
    admin.get_by_role("button", name="Save the matrix").click()
    expect(page.get_by_label("Jog forward")).to_be_enabled(timeout=2_000)
    assert console.system.call("admin", "GET", f"robots/{ROBOT}/access/why/?user=operator&action=robot.jog").json()[
        "allowed"
    ]
    admin.context.close()


def test_the_grid_refuses_what_would_lock_everybody_out(page: Page, console: Any) -> None:
    sign_in(page, console, "admin")
    page.goto(f"{console.base_url}/admin/accounts/role/matrix")
    page.get_by_label("Administrator has roles.manage itself").uncheck()
    page.get_by_role("button", name="Save the matrix").click()
    expect(page.get_by_text(re.compile("Nothing was changed. Nobody would be left"))).to_be_visible()
    expect(page.get_by_label("Administrator has roles.manage itself")).to_be_checked()


def test_who_may_only_look_finds_no_button(page: Page, console: Any) -> None:
    sign_in(page, console, "auditor")
    page.goto(f"{console.base_url}/admin/accounts/role/matrix")
    expect(page.locator("#matrix")).to_be_visible()
    expect(page.get_by_role("button", name="Save the matrix")).to_have_count(0)
    expect(page.get_by_label("Viewer has robot.view itself")).to_be_disabled()
