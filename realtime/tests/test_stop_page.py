"""STOP on an open page while the server's database is away: the page has a ticket, and the ticket is enough."""

import re
import sqlite3
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.test_console_browser import calm, sign_in
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.browser


def test_an_open_page_stops_robots_while_the_database_is_locked(page: Page, console: Any) -> None:
    with page.expect_response(lambda answer: "auth/stop-ticket" in answer.url and answer.ok):
        sign_in(page, console, "viewer")
    database = sqlite3.connect(console.system.var / "robotctl.sqlite3", timeout=20, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    try:
        page.locator('[data-stop="*"]').click()
        number = len(console.simulators)
        expect(page.locator('[data-stop-note="*"]')).to_have_text(re.compile(f"{number} of {number} confirmed stopped"))
        for index in range(number):
            assert console.system.control(index)["robots"][0]["state"] == "ESTOP"
    finally:
        database.execute("ROLLBACK")
        database.close()
    expect(page.locator("#link .words")).to_have_text("live", timeout=20_000)
    slugs = [robot["slug"] for robot in console.system.demo]
    until(lambda: {console.system.state(slug)["stop"]["by"] for slug in slugs} == {"viewer"}, timeout_s=20)
    calm(page, console)


def test_a_ticket_that_is_void_costs_nothing_but_the_short_way(page: Page, console: Any) -> None:
    """The page's stop goes the ordinary way when the ticket is not good any more."""
    sign_in(page, console)
    page.route(
        "**/api/v1/stop/", lambda route: route.continue_(headers=route.request.headers | {"x-stop-ticket": "void"})
    )
    page.locator('[data-stop="*"]').click()
    expect(page.locator('[data-stop-note="*"]')).to_have_text(re.compile("confirmed stopped"))
    calm(page, console)


def test_a_press_before_the_page_is_put_together_is_not_lost(page: Page, console: Any) -> None:
    sign_in(page, console, "viewer")
    held: list[Any] = []
    page.route(re.compile(r"realtime/stop(\.[0-9a-f]+)?\.js"), lambda route: held.append(route))  # it comes late
    page.goto(f"{console.base_url}/", wait_until="commit")
    page.locator('[data-stop="*"]').click()
    note = page.locator('[data-stop-note="*"]')
    expect(note).to_have_text("■ NOT SENT yet · the page is still loading")
    until(lambda: page.evaluate("window.earlyStops.size") == 1 and held)
    page.unroute_all()  # which lets it through
    number = len(console.simulators)
    expect(note).to_have_text(re.compile(f"{number} of {number} confirmed stopped"))
    calm(page, console)
