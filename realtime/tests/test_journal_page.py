"""The journal in a browser: live, searched, its chain as a sequence, and red when somebody has changed it."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from realtime.tests.conftest import Console
from realtime.tests.test_console_browser import ROBOT, calm, sign_in
from robotctl.tests.fixtures import until
from robotctl.tests.system import start

pytestmark = pytest.mark.browser


def test_what_is_done_appears_at_once_is_found_again_and_leads_to_its_chain(page: Page, console: Any) -> None:
    sign_in(page, console, "admin")
    calm(page, console)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{console.base_url}/journal/")
    expect(page.locator("#link .words")).to_have_text("live")
    expect(page.locator("#rows tr").first).to_be_visible()
    expect(page.locator("#record")).to_have_class(re.compile("is-normal"), timeout=40_000)
    console.system.call("operator", "POST", f"robots/{ROBOT}/lease/")
    newest = page.locator('#rows tr[data-verb="lease.taken"]').first
    expect(newest).to_contain_text("Took control", timeout=5_000)
    expect(newest).to_contain_text("operator")
    newest.get_by_role("button").click()
    expect(page.locator(".whole").first).to_contain_text("127.0.0.1")
    page.get_by_label("What", exact=True).fill("lease.*")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page).to_have_url(re.compile(r"verb=lease"))
    page.locator("#rows tr").first.get_by_role("button").click()
    page.locator(".whole a").first.click()
    expect(page.locator("#chain li").first).to_contain_text("Took control")
    assert errors == []
    console.system.free_control()


def test_a_search_that_cannot_be_says_why_at_its_field(page: Page, console: Any) -> None:
    sign_in(page, console, "auditor")
    page.goto(f"{console.base_url}/journal/?person=nobody-at-all")
    expect(page.locator("#empty, #trouble:not([hidden])").first).to_be_visible()
    page.goto(f"{console.base_url}/journal/?since=2026-11-27T10:00:00&until=2026-11-26T10:00:00")
    expect(page.locator("#empty, #trouble:not([hidden])").first).to_be_visible()


def test_who_may_not_read_the_journal_has_no_such_page(page: Page, console: Any) -> None:
    sign_in(page, console, "operator")
    assert page.goto(f"{console.base_url}/journal/").status == 403  # type: ignore[union-attr]
    assert page.goto(f"{console.base_url}/journal/chain/abc/").status == 403  # type: ignore[union-attr]
    expect(page.get_by_role("link", name="Journal")).to_have_count(0)


def test_the_story_of_a_robot_goes_back_and_is_chosen_from(page: Page, console: Any) -> None:
    sign_in(page, console, "viewer")
    calm(page, console)
    for _ in range(30):  # more than a page
        console.system.call("operator", "POST", f"robots/{ROBOT}/lease/")
        console.system.free_control()
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    page.get_by_role("button", name="Control", exact=True).click()
    expect(page.locator("#story li").first).to_have_attribute("data-verb", re.compile(r"^lease\."))
    count = page.locator("#story li").count()
    page.get_by_role("button", name="Older").click()
    until(lambda: page.locator("#story li").count() > count)
    assert all(
        verb.startswith("lease.")
        for verb in page.locator("#story li").evaluate_all("all => all.map(one => one.dataset.verb)")
    )
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator("#story li").first).to_be_visible()


@pytest.fixture
def own_console() -> Iterator[Console]:
    """A product of its own, whose record may be spoilt."""
    running = start(robots=1)
    yield Console(running, running.port)
    running.stop()


def test_a_row_that_was_changed_in_the_file_is_red_on_the_page_and_named(page: Page, own_console: Console) -> None:
    sign_in(page, own_console, "auditor")
    page.goto(f"{own_console.base_url}/journal/")
    expect(page.locator("#record")).to_have_class(re.compile("is-normal"), timeout=60_000)
    with closing(sqlite3.connect(own_console.system.var / "robotctl.sqlite3", timeout=20)) as database:
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            database.execute("UPDATE accounts_journalentry SET reason = 'x' WHERE id = 2")
        database.execute("DROP TRIGGER accounts_journalentry_no_update")
        database.execute("UPDATE accounts_journalentry SET reason = 'x' WHERE id = 2")
        database.commit()
    expect(page.locator("#record")).to_have_class(re.compile("is-critical"), timeout=60_000)
    expect(page.locator("#record .findings")).to_contain_text("Row 2 was altered", timeout=60_000)
    expect(page.locator('tr[data-id="2"]').get_by_text("not as it was sealed")).to_be_visible()
    expect(page.locator('tr[data-id="1"]').get_by_text("not as it was sealed")).to_be_hidden()
