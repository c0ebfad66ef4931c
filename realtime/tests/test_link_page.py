"""What the robot page shows of a link that is down: the breaker, the next try, and who may have it asked at once."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import ROBOT, calm, frozen, in_module, open_robot, sign_in

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


@pytest.mark.parametrize(("failures", "words"), [(0, "the poll process may be down"), (3, "it does not answer")])
def test_silence_of_our_own_is_not_blamed_on_the_robot(page: Page, console: Any, failures: int, words: str) -> None:
    page.goto(f"{console.base_url}/sign-in/")
    link = {"failures": failures, "last_contact_at": "2026-01-01T00:00:00Z"}
    assert words in in_module(page, "truth.modeWords('offline', given.link)", link=link)


def test_on_a_phone_the_readings_stay_within_their_card(page: Page, console: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_robot(page, console, "viewer")
    edges = "['.readings', '.truth'].map((one) => document.querySelector(one).getBoundingClientRect().right)"
    table, card = page.evaluate(edges)
    assert table < card


def test_a_robot_whose_stop_is_not_confirmed_is_counted_as_offline_too(page: Page, console: Any) -> None:
    sign_in(page, console, "engineer")
    with frozen(console, ROBOT):
        page.locator(f'[data-stop="{ROBOT}"]').click()
        expect(page.locator("#tally [data-level=nolink] b")).to_have_text("1", timeout=30_000)
        expect(page.locator("#tally [data-level=critical] b")).to_have_text("1")
    expect(page.locator("#tally [data-level=nolink] b")).to_have_text("0", timeout=30_000)
    calm(page, console)
