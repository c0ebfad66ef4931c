"""Frames that come twice, late or out of order, and ten tabs of one person: every page shows what is so, each event once."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, WebSocketRoute, expect

from realtime.tests.test_console_browser import ROBOT, calm, sign_in
from realtime.tests.test_jog_page import at_rest, truth
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.browser
TABS = 10


def unreliable(ws: WebSocketRoute) -> None:
    """A line to the server that brings each frame twice, and after every fifth the four before it once more."""
    server, seen = ws.connect_to_server(), list[str]()

    def deliver(message: str | bytes) -> None:
        text = message if isinstance(message, str) else message.decode()
        seen.append(text)
        ws.send(text)
        if json.loads(text)["type"] in ("state", "event"):
            ws.send(text)
            if len(seen) % 5 == 0:
                for old in seen[-4:]:
                    if json.loads(old)["type"] in ("state", "event"):
                        ws.send(old)

    server.on_message(deliver)
    ws.on_message(server.send)


def test_frames_that_come_twice_and_out_of_order_change_nothing(page: Page, console: Any) -> None:
    sign_in(page, console)
    calm(page, console)
    until(lambda: at_rest(console), timeout_s=30)
    page.route_web_socket(re.compile(r"/ws/"), unreliable)
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    expect(page.locator("#link .words")).to_have_text("live")
    start_m = truth(console)["position_m"]
    target = round(start_m + (2 if start_m < 50 else -2), 2)
    form = page.locator('[data-command="move"]')
    form.get_by_label("Target").fill(str(target))
    form.get_by_role("button", name="Move").click()
    expect(page.locator("#state")).to_have_text(re.compile("moving", re.IGNORECASE))
    expect(page.locator("#last li").first).to_contain_text("done ✓", timeout=20_000)
    until(lambda: at_rest(console), timeout_s=10)
    expect(page.locator("#state")).to_have_text(re.compile("idle", re.IGNORECASE))
    page.wait_for_timeout(2_500)  # no late frame takes it back
    expect(page.locator("#state")).to_have_text(re.compile("idle", re.IGNORECASE))
    shown = page.locator('[data-reading="position_m"] td').first.inner_text()
    assert float(shown) == pytest.approx(truth(console)["position_m"], abs=0.02)
    ids = page.locator("#story [data-id]").evaluate_all("rows => rows.map(row => Number(row.dataset.id))")
    assert len(ids) == len(set(ids)) and ids == sorted(ids, reverse=True)


def test_ten_tabs_of_one_person_show_the_same_and_one_stops_for_all(page: Page, console: Any) -> None:
    sign_in(page, console)
    calm(page, console)
    until(lambda: at_rest(console), timeout_s=30)
    tabs = [page.context.new_page() for _ in range(TABS)]
    for tab in tabs:
        tab.goto(f"{console.base_url}/robots/{ROBOT}/")
    each(tabs, lambda tab: expect(tab.locator("#link .words")).to_have_text("live"))
    tabs[0].get_by_role("button", name="Take control").click()
    each(tabs, lambda tab: expect(tab.locator("#control-who")).to_contain_text("Control: you"))
    tabs[3].locator(f'[data-stop="{ROBOT}"]').click()
    each(tabs, lambda tab: expect(tab.locator("#state")).to_have_text(re.compile("estopped", re.IGNORECASE)))
    each(tabs, lambda tab: expect(tab.locator('[data-part="latch"]')).to_contain_text("confirmed"))
    assert truth(console)["state"] == "ESTOP"
    for tab in tabs:
        tab.close()
    calm(page, console)


def each(tabs: list[Page], check: Callable[[Page], None]) -> None:
    for tab in tabs:
        check(tab)
