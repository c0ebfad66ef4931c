"""The pages of third parties keep our content security policy in a real browser, and the policy is really there."""

from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import sign_in

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["/api/docs/", "/api/v1/robots/", "/admin/", "/admin/firmware/robot/"])
def test_a_page_that_we_did_not_write_breaks_no_policy(page: Page, console: Any, path: str) -> None:
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if "Content Security" in message.text else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    sign_in(page, console, "admin")
    page.goto(f"{console.base_url}{path}")
    page.wait_for_load_state("networkidle")
    if path == "/api/docs/":
        expect(page.get_by_text("/api/v1/stop/", exact=True)).to_be_visible()
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
