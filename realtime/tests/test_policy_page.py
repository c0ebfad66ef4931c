"""The pages of third parties keep our content security policy in a real browser, and the policy is really there."""

import re
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import sign_in

pytestmark = pytest.mark.browser


def watched(page: Page) -> list[str]:
    """What this page breaks of the policy, and the errors of its scripts, as they come."""
    troubles: list[str] = []
    words = "Content Security"
    page.on(
        "console", lambda message: troubles.append(f"{page.url}: {message.text}") if words in message.text else None
    )
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    return troubles


@pytest.mark.parametrize("path", ["/api/docs/", "/api/v1/robots/", "/api/v1/auth/tokens/"])
def test_a_page_that_we_did_not_write_breaks_no_policy(page: Page, console: Any, path: str) -> None:
    troubles = watched(page)
    sign_in(page, console, "admin")
    answer = page.goto(f"{console.base_url}{path}")
    assert answer is not None and "unsafe" not in answer.headers["content-security-policy"]
    page.wait_for_load_state("networkidle")
    if path == "/api/docs/":
        expect(page.get_by_text("/api/v1/stop/", exact=True)).to_be_visible()
        page.get_by_text("/api/v1/stop/", exact=True).click()
        expect(page.get_by_role("button", name="Try it out")).to_be_visible()
    assert troubles == []


def test_no_page_of_the_admin_breaks_the_policy(page: Page, console: Any) -> None:
    """Every list, the form of its first row, and the form for a new one."""
    troubles = watched(page)
    sign_in(page, console, "admin")
    answer = page.goto(f"{console.base_url}/admin/")
    assert answer is not None and "unsafe-inline" not in answer.headers["content-security-policy"]
    lists = {link.get_attribute("href") or "" for link in page.locator("a[href^='/admin/']").all()}
    lists = {href for href in lists if re.fullmatch(r"/admin/\w+/\w+/", href)}
    assert len(lists) > 8
    for href in sorted(lists):
        page.goto(f"{console.base_url}{href}")
        rows = page.locator("#result_list tbody th a")
        forms = [rows.first.get_attribute("href")] if rows.count() else []
        forms += [add.get_attribute("href") for add in page.locator(f"a[href^='{href}add/']").all()[:1]]
        for form in forms:
            page.goto(f"{console.base_url}{form}")
    assert troubles == []


def test_a_script_that_is_put_into_a_page_does_not_run(page: Page, console: Any) -> None:
    sign_in(page, console)
    page.goto(f"{console.base_url}/")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.broken = true";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.broken = true'>");
        }"""
    )
    page.wait_for_timeout(500)
    assert page.evaluate("window.broken") is None
