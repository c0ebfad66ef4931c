"""What the robot page shows of a link that is down: the breaker, the next try, and who may have it asked at once."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import ROBOT, frozen, open_robot

pytestmark = [pytest.mark.system, pytest.mark.browser]


def fact(page: Page, name: str) -> Any:
    return page.locator("#link-facts div", has=page.locator("dt", has_text=re.compile(f"^{name}$"))).locator("dd")


def test_a_silent_robot_opens_its_breaker_and_the_page_says_when_it_is_tried_next(page: Page, console: Any) -> None:
    open_robot(page, console, "engineer")
    expect(fact(page, "Breaker")).to_have_text("closed")
    expect(fact(page, "Latency")).to_have_text(re.compile(r"^\d+ ms, 95 % within \d+ ms$"))
    again = page.get_by_role("button", name="Ask it again now")
    expect(again).to_be_hidden()
    with frozen(console, ROBOT):
        expect(fact(page, "Breaker")).to_have_text(
            re.compile("^(open|half open), (next try in|trying now)"), timeout=30_000
        )
        expect(page.locator("#why-move")).to_have_text(re.compile("only stop is sent"))
        expect(page.locator("#story")).to_contain_text("Circuit breaker opened")
        expect(page.locator(f'[data-stop="{ROBOT}"]')).to_be_enabled()
        again.click()
        expect(page.locator("#link-outcome")).to_have_text("The robot is asked again.")
    expect(fact(page, "Mode")).to_have_text("online", timeout=30_000)
    expect(fact(page, "Breaker")).to_have_text("closed")
    expect(again).to_be_hidden()


def test_who_may_not_reset_it_sees_the_breaker_and_no_button(page: Page, console: Any) -> None:
    open_robot(page, console, "operator")
    with frozen(console, ROBOT):
        expect(fact(page, "Breaker")).to_have_text(re.compile("open"), timeout=30_000)
        expect(page.get_by_role("button", name="Ask it again now")).to_be_hidden()
    expect(fact(page, "Mode")).to_have_text("online", timeout=30_000)
