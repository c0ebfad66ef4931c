"""The operator's pages in a real Chromium, against a running system.

Fixtures: `page` (Playwright), and `console` with `base_url`, `password`, `simulators` (slug → process with a `pid`),
`stop_web()` and `start_web()`. Demo people and robots are there; nothing else is assumed.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import FloatRect, Page, expect

pytestmark = pytest.mark.browser

ROBOT = "oht-01"
OTHER = "oht-02"
MODULE = "/static/realtime/truth.js"


# --- doing ------------------------------------------------------------------------------------------------------------
def sign_in(page: Page, console: Any, name: str = "operator") -> None:
    page.goto(f"{console.base_url}/sign-in/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(console.password)
    page.keyboard.press("Enter")
    expect(page.locator("#link .words")).to_have_text("live")


def calm(page: Page, console: Any) -> None:
    """Lift every latch, as an engineer, over the API."""
    api = page.context.request
    token = api.post(
        f"{console.base_url}/api/v1/auth/login/", data={"username": "engineer", "password": console.password}
    ).json()["token"]
    headers = {"Authorization": f"Token {token}"}
    for slug in console.simulators:
        url = f"{console.base_url}/api/v1/robots/{slug}"
        if api.get(f"{url}/state/", headers=headers).json()["stop"]["latched"]:
            api.post(f"{url}/stop/reset/", data={"reason": "test"}, headers=headers)


@contextmanager
def frozen(console: Any, slug: str) -> Iterator[None]:
    """The robot is there, and says nothing."""
    pid = console.simulators[slug].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def open_robot(page: Page, console: Any, name: str = "operator") -> None:
    sign_in(page, console, name)
    page.goto(f"{console.base_url}/robots/{ROBOT}/")
    expect(page.locator("#link .words")).to_have_text("live")


def move_to(page: Page, target: float) -> None:
    button = page.locator("[data-command=move] button[type=submit]")
    expect(button).to_be_enabled()
    page.get_by_label("Target").fill(str(target))
    button.click()


def gap_px(one: FloatRect, other: FloatRect) -> float:
    """The free space between two boxes."""
    across = max(other["x"] - one["x"] - one["width"], one["x"] - other["x"] - other["width"])
    down = max(other["y"] - one["y"] - one["height"], one["y"] - other["y"] - other["height"])
    return max(across, down)


# --- the fleet --------------------------------------------------------------------------------------------------------
def check_tiles_are_live(page: Page) -> None:
    tile = page.locator(f"#tile-{ROBOT}")
    expect(tile.locator("[data-part=word]")).to_have_text("Online")
    expect(tile.locator("[data-reading=position_m] [data-part=number]")).to_have_text(re.compile(r"^\d+\.\d\d$"))
    expect(tile.locator("[data-part=simulated]")).to_be_visible()
    expect(page.locator("#rails svg text").filter(has_text=ROBOT)).to_have_count(1)


def test_the_fleet_page_shows_every_robot_live(page: Page, console: Any) -> None:
    sign_in(page, console)
    calm(page, console)
    expect(page.locator(".tile")).to_have_count(len(console.simulators))
    check_tiles_are_live(page)


def test_every_load_brings_the_present_not_what_an_earlier_one_saw(page: Page, console: Any) -> None:
    sign_in(page, console)
    first = page.evaluate("JSON.parse(document.getElementById('boot').textContent).robots[0].seq")
    page.wait_for_timeout(2_500)
    page.reload()
    assert page.evaluate("JSON.parse(document.getElementById('boot').textContent).robots[0].seq") > first


def test_a_silent_robot_is_greyed_in_its_place_and_comes_back(page: Page, console: Any) -> None:
    sign_in(page, console)
    calm(page, console)
    check_tiles_are_live(page)
    tile = page.locator(f"#tile-{OTHER}")
    before = tile.bounding_box()
    with frozen(console, OTHER):
        expect(tile.locator("[data-part=word]")).to_have_text("Offline", timeout=20_000)
        expect(tile.locator("[data-part=state]")).to_have_class("stale")
        expect(tile.locator("[data-part=target]")).to_have_text(re.compile(r"\d+ s old"))
        assert tile.bounding_box() == before
    expect(tile.locator("[data-part=word]")).to_have_text("Online", timeout=20_000)
    expect(tile.locator("[data-part=state]")).not_to_have_class("stale")


def test_the_page_says_that_the_connection_is_lost_and_recovers_by_itself(page: Page, console: Any) -> None:
    sign_in(page, console)
    console.stop_web()
    try:
        expect(page.locator("#link .words")).to_have_text(re.compile(r"^lost since \d\d:\d\d:\d\d, retrying$"))
        expect(page.locator(f"#tile-{ROBOT} [data-part=word]")).not_to_have_text("Online", timeout=15_000)
    finally:
        console.start_web()
    expect(page.locator("#link .words")).to_have_text("live", timeout=20_000)
    check_tiles_are_live(page)


def test_slash_searches_and_no_single_key_moves_or_stops(page: Page, console: Any) -> None:
    sign_in(page, console)
    posts: list[str] = []
    page.on(
        "request",
        lambda request: (
            posts.append(request.url)
            if request.method == "POST" and not request.url.endswith("/auth/activity/")  # somebody is there
            else None
        ),
    )
    for key in "abcdefghijklmnopqrstuvwxyz0123456789 ":
        page.keyboard.press("Space" if key == " " else key)
    assert posts == []
    page.keyboard.press("/")
    page.keyboard.type(OTHER)
    expect(page.locator(".tile:visible")).to_have_count(1)


# --- stop -------------------------------------------------------------------------------------------------------------
def test_stop_all_fires_on_the_press_and_tells_what_came_of_it(page: Page, console: Any) -> None:
    sign_in(page, console, "viewer")
    button = page.locator('[data-stop="*"]')
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 56
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()  # no release needed
    expect(button).to_have_class(re.compile("pressed"), timeout=100)
    number = len(console.simulators)
    expect(page.locator('[data-stop-note="*"]')).to_have_text(
        re.compile(rf"{number} of {number} confirmed stopped · \d+\.\d\d s")
    )
    page.mouse.up()
    calm(page, console)


def test_a_stop_that_is_not_confirmed_says_so_until_it_is(page: Page, console: Any) -> None:
    sign_in(page, console)
    note = page.locator('[data-stop-note="*"]')
    with frozen(console, OTHER):
        page.locator('[data-stop="*"]').click()
        expect(note).to_have_text(re.compile(rf"{OTHER} NOT CONFIRMED · trying again · \d+\.\d s"), timeout=8_000)
    expect(note).to_have_text(re.compile("confirmed stopped"), timeout=30_000)
    calm(page, console)


def test_stop_keeps_trying_while_the_server_is_away(page: Page, console: Any) -> None:
    sign_in(page, console)
    note = page.locator(f'[data-stop-note="{ROBOT}"]')
    console.stop_web()
    try:
        page.locator(f'[data-stop="{ROBOT}"]').focus()
        page.keyboard.press("Enter")
        expect(note).to_have_text(re.compile("NOT CONFIRMED · .*trying again"))
    finally:
        console.start_web()
    expect(note).to_have_text(re.compile("confirmed stopped"), timeout=20_000)
    calm(page, console)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (1920, 1080)])
@pytest.mark.parametrize("path", ["/", f"/robots/{ROBOT}/"])
def test_nothing_else_can_be_pressed_within_24_px_of_stop_all(
    page: Page, console: Any, path: str, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    sign_in(page, console)
    page.goto(f"{console.base_url}{path}")
    expect(page.locator("#link .words")).to_have_text("live")
    stop = page.locator('[data-stop="*"]').bounding_box()
    assert stop is not None
    for target in page.locator("a, button, input, summary").filter(visible=True).all():
        box = target.bounding_box()
        if box is None or target.get_attribute("data-stop") == "*" or covered(page, box):
            continue
        assert gap_px(stop, box) >= 24, target.inner_text()


def covered(page: Page, box: FloatRect) -> bool:
    """Outside the window, or under a bar: it cannot be pressed there."""
    script = """([x, y]) => {
        const hit = document.elementFromPoint(x, y)?.closest("a, button, input, summary");
        return !hit || hit.dataset.stop === "*";
    }"""
    return bool(page.evaluate(script, [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]))


# --- one robot --------------------------------------------------------------------------------------------------------
def test_a_command_is_seen_as_it_lives_and_reset_needs_a_reason(page: Page, console: Any) -> None:
    open_robot(page, console, "engineer")
    calm(page, console)
    move_to(page, 95)
    expect(page.locator("[data-command=move] .outcome")).to_have_text(
        re.compile("accepted → sent → robot shows it ✓"), timeout=10_000
    )
    expect(page.locator("#state")).to_have_text("moving")
    expect(page.locator("#why-move")).to_have_text(re.compile("moving; move needs idle"))
    page.locator("[data-command=halt] button[type=submit]").click()
    expect(page.locator("#state")).to_have_text("idle", timeout=15_000)
    expect(page.locator("#last li").first).to_have_attribute("data-status", "confirmed", timeout=10_000)
    page.locator(f'[data-stop="{ROBOT}"]').click()
    expect(page.locator("#why-move")).to_have_text(re.compile("stopped: reset first"))
    page.locator("#reset-open").click()
    page.get_by_label("Reason, for the journal").fill("the rail is clear")
    page.locator("#reset [type=submit]").click()
    expect(page.locator("#reset-outcome")).to_have_text(re.compile("The stop is lifted"), timeout=15_000)
    expect(page.locator("#story [data-verb='reset.confirmed']").first).to_be_visible()


def test_who_may_not_command_sees_the_buttons_and_why_not(page: Page, console: Any) -> None:
    open_robot(page, console, "viewer")
    expect(page.locator("[data-command=move] button[type=submit]")).to_be_disabled()
    expect(page.locator("#why-move")).to_have_text("Your role does not include commands.")
    expect(page.locator("#reset-why")).to_have_text(re.compile("role does not include reset"))
    expect(page.locator(f'[data-stop="{ROBOT}"]')).to_be_enabled()


def test_a_value_out_of_range_is_refused_at_the_field(page: Page, console: Any) -> None:
    open_robot(page, console)
    calm(page, console)
    move_to(page, 400)
    expect(page.locator("#move-target_m-hint")).to_have_text(re.compile("Between 0 and 100"))


def test_without_connection_nothing_but_stop_can_be_asked_for(page: Page, console: Any) -> None:
    open_robot(page, console)
    console.stop_web()
    try:
        expect(page.locator("#why-move")).to_have_text(re.compile("No connection to the server"))
        expect(page.locator("[data-command=move] button[type=submit]")).to_be_disabled()
        expect(page.locator(f'[data-stop="{ROBOT}"]')).to_be_enabled()
    finally:
        console.start_web()
    expect(page.locator("#link .words")).to_have_text("live", timeout=20_000)


# --- signing in, errors -----------------------------------------------------------------------------------------------
def test_a_wrong_password_is_said_in_words(page: Page, console: Any) -> None:
    page.goto(f"{console.base_url}/sign-in/")
    expect(page.get_by_label("User name")).to_be_focused()
    page.get_by_label("User name").fill("operator")
    page.get_by_label("Password").fill("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("user name or the password is wrong"))
    expect(page.get_by_label("Password")).to_be_focused()


def test_a_session_that_ends_is_said_on_the_page(page: Page, console: Any) -> None:
    sign_in(page, console)
    expect(page.locator("#link .words")).to_have_text("live", timeout=10_000)
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken")
    page.context.request.post(
        f"{console.base_url}/sign-out/", headers={"X-CSRFToken": token, "Referer": console.base_url}
    )
    expect(page.locator("#link .words")).to_have_text(re.compile("signed out since"), timeout=10_000)
    expect(page.locator("#banner a")).to_have_text("Sign in")


def test_a_page_that_is_not_there_says_what_to_do(page: Page, console: Any) -> None:
    page.goto(f"{console.base_url}/nowhere/")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.locator('[data-stop="*"]')).to_be_hidden()
    sign_in(page, console)
    page.goto(f"{console.base_url}/nowhere/")
    expect(page.locator('[data-stop="*"]')).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", f"/robots/{ROBOT}/"])
def test_no_page_is_wider_than_a_phone_or_breaks_its_own_policy(
    page: Page, console: Any, path: str, scheme: Any
) -> None:
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, console)
    page.goto(f"{console.base_url}{path}")
    expect(page.locator("#link .words")).to_have_text("live")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert troubles == []


# --- pure rules -------------------------------------------------------------------------------------------------------
def in_module(page: Page, expression: str, **given: Any) -> Any:
    script = f"async (given) => {{ const truth = await import('{MODULE}'); return {expression}; }}"
    return page.evaluate(script, given)


NOW = 1_800_000_000_000


def iso(age_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW / 1000 - age_s)) + "Z"


def document(mode: str = "online", contact_age_s: float = 1) -> dict[str, Any]:
    link = {"last_contact_at": iso(contact_age_s), "live_for_s": 3, "offline_after_s": 10}
    return {"enabled": True, "mode": mode, "link": link}


@pytest.mark.parametrize(
    ("mode", "age_s", "now"),
    [
        ("online", 1, "online"),
        ("online", 4, "degraded"),
        ("online", 10, "offline"),
        ("maintenance", 99, "maintenance"),
        ("degraded", 1, "degraded"),
        ("online", -3600, "offline"),
    ],
)
def test_a_mode_does_not_stand_longer_than_the_contact_it_rests_on(
    page: Page, console: Any, mode: str, age_s: float, now: str
) -> None:
    page.goto(f"{console.base_url}/sign-in/")
    assert in_module(page, "truth.modeNow(given.doc, given.now)", doc=document(mode, age_s), now=NOW) == now


@pytest.mark.parametrize(("age_s", "quality", "value"), [
    (1, "live", 17.3), (4, "stale", 17.3), (301, "stale", None), (-3600, "stale", 17.3)
])  # fmt: skip
def test_a_number_ages_and_after_five_minutes_is_no_number(
    page: Page, console: Any, age_s: float, quality: str, value: float | None
) -> None:
    page.goto(f"{console.base_url}/sign-in/")
    reading = {"value": 17.3, "unit": "m", "observed_at": iso(age_s), "live_for_s": 3}
    seen = in_module(page, "truth.see(given.reading, given.now)", reading=reading, now=NOW)
    assert (seen["quality"], seen["value"]) == (quality, value)
