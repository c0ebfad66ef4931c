"""The Nordlift NL-3 does what its manual says, over TCP."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import requests

from firmware.tests.machines.lift import Lift

UNIT = "/v2/units/nl3-0017"


class Caller:
    def __init__(self, lift: Lift) -> None:
        self.lift, self.session = lift, requests.Session()

    def __call__(self, method: str, path: str, body: Any = None, key: str = "drive") -> requests.Response:
        headers = {"X-Nordlift-Key": f"key={self.lift.keys.get(key, key)}"}
        return self.session.request(method, self.lift.url + path, json=body, headers=headers, timeout=5)

    def get(self, path: str) -> Any:
        return self("GET", UNIT + path, key="monitor").json()


@pytest.fixture
def call() -> Iterator[Caller]:
    before = threading.active_count()
    with Lift() as lift:
        caller = Caller(lift)
        yield caller
    caller.session.close()
    assert threading.active_count() == before


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def said(response: requests.Response) -> tuple[int, Any]:
    plain = response.headers.get("Content-Type") == "text/plain"
    return response.status_code, response.text if plain or not response.content else response.json()


def test_keys_and_strangers(call: Caller) -> None:
    assert said(requests.get(call.lift.url + "/v2/units", timeout=5)) == (401, "no key")
    assert said(call("GET", "/v2/units", key="wrong")) == (401, "no key")
    bare = {"X-Nordlift-Key": call.lift.keys["drive"]}
    assert said(requests.get(call.lift.url + "/v2/units", headers=bare, timeout=5)) == (401, "no key")
    assert said(call("POST", UNIT + "/halt", key="monitor")) == (403, "monitor keys only look")
    assert said(call("GET", "/v2/units/lift-z/pose")) == (404, "no such unit")
    assert said(call("POST", "/v2/hold", {"unit": "lift-a"})) == (404, "no such unit")
    assert said(call("PUT", UNIT + "/goal", [1])) == (400, "body is not a JSON object")
    assert call.lift.truth()["requests"][-1] == f"PUT {UNIT}/goal"


def test_status_is_in_several_places_and_ninety_seconds_old(call: Caller) -> None:
    phases = {unit["id"]: unit["phase"] for unit in call("GET", "/v2/units").json()}
    assert phases == {"lift-a": 3, "nl3-0017": 1, "lift-c": 9}
    pose, energy = call.get("/pose"), call.get("/energy")
    assert (pose["mm"], pose["mm_s"]) == ([5000, 0], 0)
    taken = datetime.fromisoformat(energy["taken"]).timestamp()
    assert energy["taken"].endswith("Z")
    assert [round(time.time() - each, -1) for each in (pose["clock"] / 1000, pose["taken"] / 1000, taken)] == [90] * 3
    assert said(call("GET", UNIT + "/guard")) == (204, "")
    fan = call.get("/fan")
    assert (len(fan["cm"]), fan["cm"][0], fan["cm"][45]) == (91, 150, 0)
    beat = call.get("/counters")["beat"]
    until(lambda: bool(call.get("/counters")["beat"] > beat))


def test_a_goal_is_a_job_to_follow(call: Caller) -> None:
    assert said(call("PUT", UNIT + "/goal", {"mm": 60001})) == (422, "mm must be 0..60000")
    assert said(call("PUT", UNIT + "/goal", {"mm": 4700, "mm_s": 700})) == (202, {"job": "j-1"})
    assert call.get("/jobs/j-1")["stage"] == "queued"
    assert said(call("PUT", UNIT + "/goal", {"mm": 9000})) == (409, {"phase": 2, "note": "busy with j-1"})
    until(lambda: bool(call.get("/pose")["mm_s"] == 700 and 4700 < call.get("/pose")["mm"][0] < 5000))
    until(lambda: bool(call.get("/jobs/j-1") == {"job": "j-1", "stage": "done", "why": None}))
    assert call.get("/pose")["mm"] == [4700, 0]
    call("PUT", UNIT + "/goal", {"mm": 60000})
    assert said(call("POST", UNIT + "/halt")) == (204, "")
    truth = call.lift.truth()
    assert (truth["phase"], truth["jobs"]) == (1, {"j-1": "done", "j-2": "cancelled"})


def test_the_platform_moves_whatever_it_answers(call: Caller) -> None:
    assert said(call("POST", UNIT + "/platform", {"level": 2})) == (500, "actuator link fault")
    assert (call.get("/platform"), call.lift.truth()["phase"]) == ({"level": 0}, 3)
    until(lambda: bool(call.get("/platform") == {"level": 2}))
    assert said(call("POST", UNIT + "/platform", {"level": 4})) == (500, "actuator link fault")
    assert call.lift.truth()["phase"] == 1


def test_a_hold_fails_the_job_and_outlives_a_release_before_it(call: Caller) -> None:
    assert said(call("DELETE", "/v2/hold/nl3-0017")) == (409, {"phase": 1, "note": "not held"})
    call("PUT", UNIT + "/goal", {"mm": 60000})
    assert said(call("POST", "/v2/hold", {"unit": "nl3-0017"})) == (204, "")
    assert call.get("/jobs/j-1") == {"job": "j-1", "stage": "failed", "why": "held"}
    assert call.get("/guard")["tripped"] is True
    assert said(call("PUT", UNIT + "/goal", {"mm": 0})) == (409, {"phase": 4, "note": "held"})
    assert call("DELETE", "/v2/hold/nl3-0017").status_code == 204
    call("POST", "/v2/hold", {"unit": "nl3-0017"})
    time.sleep(0.4)
    assert call.lift.truth()["held"]
    call("DELETE", "/v2/hold/nl3-0017")
    until(lambda: bool(call.lift.truth()["phase"] == 1))


def test_the_red_button_holds_until_it_is_out(call: Caller) -> None:
    call.lift.pull_estop()
    assert said(call("DELETE", "/v2/hold/nl3-0017")) == (409, {"phase": 4, "note": "button is in"})
    assert call("GET", UNIT + "/guard").status_code == 200
    call.lift.release_estop()
    assert call("GET", UNIT + "/guard").status_code == 204


def test_settings_and_cells(call: Caller) -> None:
    assert said(call("PATCH", UNIT + "/settings/max_mm_s", {"set": 700})) == (200, {"key": "max_mm_s", "now": 900})
    assert call("PATCH", UNIT + "/settings/lights", {"set": 1}).status_code == 422
    until(lambda: bool(call.get("/settings")["values"][0] == {"key": "max_mm_s", "now": 700}))
    assert said(call("PUT", UNIT + "/goal", {"mm": 1, "mm_s": 900})) == (422, "mm_s must be 1..700")
    assert {part["what"]: part["alive"] for part in call.get("/parts")} == {"drive": 1, "hoist": 0, "battery": 1}
    cells = UNIT + "/parts/1/cells/"
    assert said(call("POST", cells + "10", {"val": 60})) == (200, "ok")
    assert said(call("POST", cells + "10", {"val": 101})) == (422, "val must be 0..100")
    assert said(call("POST", cells + "11", {"val": 1})) == (405, "cell is read-only")
    assert call.get("/parts/1/cells")["cells"]["10"]["val"] == 60


def test_frozen_values_and_late_replies(call: Caller) -> None:
    call.lift.freeze_values()
    before = call.get("/pose"), call.get("/counters")
    time.sleep(0.3)
    after = call.get("/pose"), call.get("/counters")
    assert (after[0]["taken"], after[1]) == (before[0]["taken"], before[1])
    assert after[0]["clock"] > before[0]["clock"]
    call("PUT", UNIT + "/goal", {"mm": 60000})
    until(lambda: bool(call.lift.truth()["mm"] > 5000))
    assert call.get("/pose")["mm"] == [5000, 0]
    call.lift.hang(30)
    with pytest.raises(requests.Timeout):
        requests.get(call.lift.url + UNIT + "/pose", timeout=0.2)
    threading.Timer(0.2, call.lift.thaw).start()
    assert call.get("/pose")["taken"] == after[0]["taken"]
    assert call.get("/pose")["taken"] > after[0]["taken"]


def test_a_restart_forgets(call: Caller) -> None:
    call("PUT", UNIT + "/goal", {"mm": 60000})
    call("POST", "/v2/hold", {"unit": "nl3-0017"})
    call.lift.restart()
    assert said(call("GET", UNIT + "/jobs/j-1")) == (404, "nothing here")
    counters = call.get("/counters")
    assert (counters["jobs"], counters["up_s"] < 1, call.lift.truth()["phase"]) == (0, True, 0)
    until(lambda: bool(call.lift.truth()["phase"] == 1))


def test_it_runs_by_itself_until_sigterm() -> None:
    command = [sys.executable, "-m", "firmware.tests.machines.lift", "--unit", "nl3-9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."}) as process:
        assert process.stdout
        url, monitor, drive = (process.stdout.readline().strip() for _ in range(3))
        key = re.sub("^monitor", "key", monitor)
        units = requests.get(url + "/v2/units", headers={"X-Nordlift-Key": key}, timeout=5).json()
        process.send_signal(signal.SIGTERM)
        assert (units[1]["id"], drive[:6], process.wait(5)) == ("nl3-9", "drive=", 0)
