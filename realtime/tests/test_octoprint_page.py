"""A robot server that nobody here wrote, connected by a profile file, homed and stopped from its page in a real browser."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from firmware.tests.octoprint_tools import KEY, MISSING, PROGRAM, OctoPrint
from realtime.tests.conftest import Console
from robotctl.tests.fixtures import until

pytestmark = [pytest.mark.browser, pytest.mark.octoprint]
SLUG = "printer-01"


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[OctoPrint]:
    if not PROGRAM.exists():
        assert not os.environ.get("CI"), MISSING
        pytest.skip(MISSING)
    running = OctoPrint(tmp_path)
    try:
        running.wait()
        yield running
    finally:
        running.end()


def test_a_printer_is_connected_homed_stopped_and_reset_from_its_page(
    page: Page, console: Console, printer: OctoPrint
) -> None:
    body = {
        "slug": SLUG,
        "name": "Printer",
        "profile": "octoprint",
        "base_url": printer.url,
        "credentials": {"key": KEY},
    }
    assert console.system.call("engineer", "POST", "robots/", body).status_code == 201
    page.goto(f"{console.base_url}/sign-in/")
    page.get_by_label("User name").fill("engineer")
    page.get_by_label("Password").fill(console.password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{console.base_url}/")
    page.goto(f"{console.base_url}/robots/{SLUG}/")
    state = page.locator("#state")
    expect(page.get_by_role("row", name="OctoPrint says")).to_be_visible(timeout=20_000)

    page.locator("[data-command=connect] button[type=submit]").click(timeout=20_000)
    expect(state).to_have_text(re.compile("idle", re.IGNORECASE), timeout=20_000)
    expect(page.get_by_role("row", name="Nozzle").first).to_be_visible(timeout=20_000)

    page.locator("[data-command=home] button[type=submit]").click(timeout=20_000)
    expect(page.get_by_text(re.compile("reports nothing that could confirm")).first).to_be_visible(timeout=10_000)
    until(lambda: printer.sent("G28") == 1)

    page.locator(f'[data-stop="{SLUG}"]').first.click()
    expect(state).to_have_text(re.compile("estopped", re.IGNORECASE), timeout=10_000)
    expect(page.get_by_text(re.compile("confirmed stopped")).first).to_be_visible()
    assert printer.says() == "Offline after error"

    result = console.system.call("engineer", "POST", f"robots/{SLUG}/stop/reset/", {"reason": "bed is clear"}).json()
    assert result["status"] == "confirmed"
    expect(state).to_have_text(re.compile("idle", re.IGNORECASE), timeout=10_000)
    assert console.system.call("engineer", "DELETE", f"robots/{SLUG}/").status_code == 204
