"""The second person, on the robot's page."""

import re
import uuid
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import ROBOT, sign_in

pytestmark = pytest.mark.browser
REGISTER = f"robots/{ROBOT}/modules/2/registers/0x0030/"


def asked(console: Any, reason: str) -> int:
    """An engineer wants to write a register."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answer = console.system.call("engineer", "POST", REGISTER, {"value": 28.5, "reason": reason}, **key)
    assert answer.json()["status"] == "awaiting_approval", answer.text
    return int(answer.json()["id"])


def test_a_second_person_agrees_on_the_page_and_it_is_sent(page: Page, console: Any) -> None:
    sign_in(page, console, "admin")
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    expect(page.locator("#link .words")).to_have_text("live")
    command = asked(console, "new charger")  # comes over the socket, into a page that is open
    row = page.locator(f'#last [data-id="{command}"]')
    expect(row).to_contain_text(re.compile(r"waiting for a second person · (9|10) min left"))
    expect(row).to_contain_text("engineer")
    row.get_by_label("Note (optional)").fill("charger seen")
    row.get_by_role("button", name="Approve and send").click()
    expect(row).to_contain_text("robot shows it ✓", timeout=20_000)
    expect(row).to_contain_text("Approved by admin")
    expect(page.locator("#story")).to_contain_text("approved, sending")


def test_who_asked_sees_that_somebody_else_must_agree_and_can_take_it_back(page: Page, console: Any) -> None:
    command = asked(console, "wrong one")
    sign_in(page, console, "engineer")
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    row = page.locator(f'#last [data-id="{command}"]')
    expect(row).to_contain_text("A second person must agree.")
    expect(row.get_by_role("button", name="Approve and send")).to_have_count(0)
    row.get_by_role("button", name="Take back").click()
    expect(row).to_contain_text("cancelled, never sent")


def test_who_may_not_approve_sees_who_could(page: Page, console: Any) -> None:
    command = asked(console, "for the viewer")
    sign_in(page, console, "viewer")
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    row = page.locator(f'#last [data-id="{command}"]')
    expect(row).to_contain_text("A second person with the right to approve must agree.")
    expect(row.get_by_role("button")).to_have_count(0)
    console.system.call("engineer", "POST", f"commands/{command}/cancel/", {})
