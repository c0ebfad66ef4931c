"""The account page in a real Chromium: the duty to change a password, the second factor, sessions; STOP stays on it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright")
from django_otp.oath import TOTP
from playwright.sync_api import Browser, Page, expect

from realtime.tests.people import Person, person
from realtime.tests.test_console_browser import calm, sign_in

pytestmark = pytest.mark.browser
NEW = "seven-otters-paint-clocks"


@pytest.fixture
def other(browser: Browser) -> Iterator[Page]:
    """The same person's other browser."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def enter(page: Page, console: Any, who: Person, otp: str = "") -> None:
    page.goto(f"{console.base_url}/sign-in/")
    page.get_by_label("User name").fill(who.name)
    page.get_by_label("Password").fill(who.password)
    page.get_by_label("Code").fill(otp)
    page.keyboard.press("Enter")


def code_of(secret: str) -> str:
    from base64 import b32decode

    return f"{TOTP(b32decode(secret.replace(' ', ''))).token():06d}"


def test_who_has_to_change_the_password_gets_there_can_stop_and_goes_on(page: Page, console: Any) -> None:
    who = person(console.system)
    enter(page, console, who)
    expect(page).to_have_url(f"{console.base_url}/account/")
    expect(page.get_by_role("alert").first).to_contain_text("Change your password first")
    page.locator('[data-stop="*"]').click()
    expect(page.locator('[data-stop-note="*"]')).to_have_text(re.compile("taken|sent|confirmed stopped"))
    page.get_by_label("Current password").fill(who.password)
    page.get_by_label("New password", exact=True).fill("password1234")
    page.get_by_label("New password, again").fill("password1234")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator('[data-error="new_password"]')).to_contain_text("too common")
    expect(page.get_by_label("New password", exact=True)).to_be_focused()
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_label("New password, again").fill(NEW)
    page.keyboard.press("Enter")  # no mouse needed
    expect(page.get_by_text("Password changed.")).to_be_visible()
    expect(page.locator("#link .words")).to_have_text("live")
    expect(page.locator("#banner")).to_be_hidden()
    page.goto(console.base_url)
    expect(page.locator(".tile")).to_have_count(len(console.simulators))
    calm(page, console)


def test_the_second_factor_is_set_up_asked_for_and_turned_off(page: Page, other: Page, console: Any) -> None:
    who = person(console.system)
    who.change_password(NEW)
    for one in (page, other):
        enter(one, console, who)
        expect(one.locator("#link .words")).to_have_text("live")
    page.goto(f"{console.base_url}/account/")
    page.locator("#begin_password").fill("not the password")
    page.get_by_role("button", name="Set up").click()
    expect(page.locator('#factor-begin [data-error="password"]')).to_have_text("This is not your current password.")
    page.locator("#begin_password").fill(who.password)
    page.keyboard.press("Enter")
    expect(page.locator("#factor-qr svg")).to_be_visible()
    page.locator("#confirm_otp").fill(code_of(page.locator("#factor-secret").text_content() or ""))
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    expect(other.locator("#link .words")).to_have_text(re.compile("^signed out"), timeout=1_000)
    expect(page.locator("#factor-status")).to_contain_text("Ended elsewhere: 1 session")
    expect(page.locator("#sessions li")).to_have_count(1)
    expect(page.locator("#link .words")).to_have_text("live")
    codes = page.locator("#recovery-codes li").all_text_contents()
    page.get_by_role("button", name="I have kept them").click()
    expect(page.locator("#factor-status")).to_have_text("It is on. 10 recovery codes are left.")
    assert codes[0] not in page.content()

    enter(other, console, who)
    expect(other.get_by_role("alert")).to_contain_text("Give the code of your second factor")
    enter(other, console, who, codes[0])
    expect(other.locator("#link .words")).to_have_text("live")

    page.get_by_text("Turn it off").first.click()
    page.locator("#remove_password").fill(who.password)
    page.get_by_label("Code, or a recovery code").fill(codes[1])
    page.keyboard.press("Enter")
    expect(page.locator("#factor-status")).to_contain_text("It is off.")


def test_signing_out_everywhere_reaches_the_other_browser_within_a_second(
    page: Page, other: Page, console: Any
) -> None:
    who = person(console.system)
    who.change_password(NEW)
    for one in (page, other):
        enter(one, console, who)
        expect(one.locator("#link .words")).to_have_text("live")
    page.goto(f"{console.base_url}/account/")
    expect(page.locator("#sessions li")).to_have_count(2)
    expect(page.locator("#sessions").get_by_text("this one")).to_have_count(1)
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(other.locator("#link .words")).to_have_text(re.compile("^signed out"), timeout=1_000)
    expect(page).to_have_url(f"{console.base_url}/sign-in/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_is_reached_from_the_menu(page: Page, console: Any, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, console, "viewer")
    page.locator("details.menu summary").click()
    page.get_by_role("link", name="Account").click()
    expect(page.locator("#sessions li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator('[data-stop="*"]')).to_be_in_viewport()
    page.get_by_role("button", name="Sign out everywhere").scroll_into_view_if_needed()
    box, stop = (
        page.get_by_role("button", name="Sign out everywhere").bounding_box(),
        page.locator("#stop-all").bounding_box(),
    )
    assert box is not None
    assert stop is not None
    assert box["y"] + box["height"] <= stop["y"]


def test_a_stranger_is_asked_to_sign_in(page: Page, console: Any) -> None:
    page.goto(f"{console.base_url}/account/")
    expect(page).to_have_url(f"{console.base_url}/sign-in/?next=/account/")
