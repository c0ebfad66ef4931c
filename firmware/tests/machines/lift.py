"""Nordlift NL-3 scissor-lift AMR. Unit gateway, interface v2. Integrator's notes.

1  ACCESS    Plain HTTP, one request per connection. Every request carries  X-Nordlift-Key: key=<secret>  ("key=" too).
   Key "monitor": GET only. Key "drive": all. None or a wrong one: 401, text "no key". Monitor key with another method:
   403, text "monitor keys only look". Bodies are JSON objects (else 400); refusals are text/plain unless noted.
   A unit, path, part or job that is not there: 404.
2  UNITS     GET /v2/units -> [{"id":"lift-a","phase":3,"model":"NL-2"}, ...]. The gateway lists its neighbours too.
   phase: 0 boot, 1 ready, 2 travelling, 3 lifting, 4 held, 5 error, 9 powered off.
3  CLOCK     The unit keeps its own clock, which nobody sets. All times below are of that clock.
4  STATUS    All under /v2/units/{id}:
   GET /pose      {"mm":[12345,0],"mm_s":800,"taken":<epoch ms>,"clock":<epoch ms, now>}. mm: along and beside the 60 m line.
   GET /energy    {"charge":0.87,"taken":"2031-01-31T12:00:00Z"}. 1.0 is full.
   GET /guard     204 while the guard circuit is closed; 200 {"tripped":true,"since":<epoch ms>} while held.
   GET /counters  {"up_s":12.3,"jobs":4,"beat":61}. Since power-on; beat counts up every 200 ms.
   GET /fan       {"first_deg":-90,"step_deg":2,"cm":[91 integers],"taken":<epoch ms>}. Right to left, 0 is ahead.
                  A 0 in cm means no echo (glass, or farther than 25 m), not an obstacle at 0 cm.
5  TRAVEL    PUT /goal {"mm":42000,"mm_s":700} -> 202 {"job":"j-17"}. Without mm_s it goes at max_mm_s (see 8).
   Not ready: 409 {"phase":2,"note":"busy with j-17"}. Out of range: 422, text "mm must be 0..60000".
   GET /jobs/{job} -> {"job":"j-17","stage":"running","why":null}. stage: queued, running, done, failed, cancelled.
   POST /halt -> 204: job cancelled, platform stops, a held unit stays held. Power-on forgets all jobs and starts again at j-1.
6  PLATFORM  GET /platform -> {"level":2}. POST /platform {"level":2} with 0..3 takes 0.4 s.
   KNOWN ISSUE NL3-211: POST always answers 500, text "actuator link fault", moved or not (held, booting, level out of range).
7  HOLD      POST /v2/hold {"unit":"nl3-0017"} -> 204. Stops everything: phase 4, guard tripped, the job failed with why "held".
   DELETE /v2/hold/{id} -> 204, ready 0.3 s later. Not held: 409 {"phase":1,"note":"not held"}; red button in: 409 too.
8  SETTINGS  GET /settings -> {"values":[{"key":"max_mm_s","now":900},{"key":"lights","now":"auto"}]}
   PATCH /settings/{key} {"set":700} -> 200 {"key":"max_mm_s","now":900}: the new value applies 0.3 s later.
   max_mm_s: 100..2000. lights: auto, on, off. Anything else: 422.
9  PARTS     GET /parts -> [{"no":1,"what":"drive","alive":1},{"no":2,"what":"hoist","alive":0}, ...]
   GET /parts/{no}/cells -> {"cells":{"10":{"label":"torque limit","rw":"rw","val":55,"lo":0,"hi":100}, ...}}
   Keyed by cell number; a read-only cell ("rw":"r") has no limits; a part that is not alive shows no cells.
   POST /parts/{no}/cells/{cell} {"val":60} -> 200 "ok" (JSON). Read-only: 405. Out of range: 422.
"""

import argparse
import contextlib
import json
import math
import secrets
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Fields = dict[str, Any]
Reply = tuple[int, Any]
BOOT, READY, TRAVELLING, LIFTING, HELD = range(5)
LINE_MM, SIGHT_CM, BEHIND_S, LATER_S, PARTS = 60_000, 2_500, 90, 0.3, ("drive", "hoist", "battery")


class Refusal(Exception):
    """A reply in plain words."""


def whole(value: Any, name: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise Refusal(422, f"{name} must be {low}..{high}")
    return value


class Lift:
    """The machine and its gateway. What is public and not in the manual is a test's hand on the machine."""

    def __init__(self, port: int = 0, unit: str = "nl3-0017") -> None:
        self.unit, self._lock, self._requests = unit, threading.Lock(), list[str]()
        self.keys = {name: secrets.token_hex(8) for name in ("monitor", "drive")}
        self._mm, self._level, self._estop, self._tripped, self._made = 5_000.0, 0, False, 0.0, time.monotonic()
        self._settings: Fields = {"max_mm_s": 900, "lights": "auto"}
        torque = {"label": "torque limit", "rw": "rw", "val": 55, "lo": 0, "hi": 100}
        drive = {"10": torque, "11": {"label": "temperature", "rw": "r", "val": 31}}
        self._cells: dict[str, Fields] = {"1": drive, "2": {}, "3": {}}
        self._hang, self._flowing = 0.0, threading.Event()
        self.thaw()
        self._power_on()
        talk = {f"do_{verb}": Conversation.reply for verb in ("GET", "PUT", "POST", "PATCH", "DELETE")}
        kind = type("NL3", (Conversation,), {**talk, "lift": self, "log_message": lambda *_: None})
        self._gateway = ThreadingHTTPServer(("127.0.0.1", port), kind)
        self._gateway.daemon_threads = False  # so that closing waits for them
        self.url = f"http://127.0.0.1:{self._gateway.server_address[1]}"
        self._thread = threading.Thread(target=self._gateway.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.shutdown()
        self._thread.join()
        self.thaw()
        self._gateway.server_close()

    def truth(self) -> Fields:
        """What is so, whatever the replies say. jobs: the stage of each; requests: "PUT /v2/...", oldest first."""
        with self._lock:
            phase, pose = self._advance(), self._readings()["pose"]
            truth = {"phase": phase, "mm": pose["mm"][0], "mm_s": pose["mm_s"], "level": self._level}
            jobs = {name: job["stage"] for name, job in self._jobs.items()}
            return {**truth, "held": phase == HELD, "jobs": jobs, "requests": list(self._requests)}

    def hang(self, seconds: float) -> None:
        """Each reply comes that late (the request is obeyed at once), until thaw()."""
        self._hang = seconds
        self._flowing.clear()

    def freeze_values(self) -> None:
        """Position, speed, their time and the counters read the same from now on; the clock goes on."""
        with self._lock:
            self._advance()
            self._frozen: Fields = {name: self._readings()[name] for name in ("pose", "counters")}

    def thaw(self) -> None:
        """Ends hang() and freeze_values()."""
        self._frozen = {}
        self._flowing.set()

    def restart(self) -> None:
        """Power off and on where it stands: settings, cells, level and the red button stay as they are."""
        with self._lock:
            self._advance()
            self._power_on()
            self._later["boot"] = (self._born + LATER_S, lambda: None)

    def pull_estop(self) -> None:
        with self._lock:
            self._trip()
            self._estop = True

    def release_estop(self) -> None:
        self._estop = False

    def answer(self, method: str, path: str, key: str, text: bytes) -> Reply:
        with self._lock:
            self._requests.append(f"{method} {path}")
            self._advance()
            if key not in [f"key={secret}" for secret in self.keys.values()]:
                raise Refusal(401, "no key")
            if method != "GET" and key != f"key={self.keys['drive']}":
                raise Refusal(403, "monitor keys only look")
            try:
                fields, names = dict(json.loads(text or b"{}")), path.split("/")[1:]
            except (ValueError, TypeError):
                raise Refusal(400, "body is not a JSON object") from None
            if names != ["v2", "units"] and self.unit not in (names[2:3] or [str(fields.get("unit"))]):
                raise Refusal(404, "no such unit")
            what, readings = path.removeprefix(f"/v2/units/{self.unit}/"), self._readings(self._frozen)
            if method == "GET" and what in readings:
                return 204 if readings[what] is None else 200, readings[what]
            return self._act(method, names, fields)

    def _act(self, method: str, names: list[str], fields: Fields) -> Reply:
        match method, *names:
            case "PUT", "v2", "units", _, "goal":
                return self._goal(fields)
            case "POST", "v2", "units", _, "halt":
                return self._stop("cancelled")
            case "POST", "v2", "units", _, "platform":
                return self._raise(fields.get("level"))
            case "POST", "v2", "hold":
                return self._trip(held=True)
            case "DELETE", "v2", "hold", _:
                if self._estop or not self._held:
                    return 409, {"phase": self._phase(), "note": "button is in" if self._estop else "not held"}
                self._later["release"] = (time.monotonic() + LATER_S, lambda: setattr(self, "_held", False))
                return 204, None
            case "PATCH", "v2", "units", _, "settings", key if key in self._settings:
                return self._set(key, fields.get("set"))
            case "POST", "v2", "units", _, "parts", no, "cells", cell if cell in self._cells.get(no, {}):
                if (found := self._cells[no][cell])["rw"] != "rw":
                    raise Refusal(405, "cell is read-only")
                found["val"] = whole(fields.get("val"), "val", found["lo"], found["hi"])
                return 200, "ok"
        raise Refusal(404, "nothing here")

    def _power_on(self) -> None:
        self._born, self._held, self._trajectory = time.monotonic(), False, (0.0, 0.0, 0, 0)  # began, from, to, speed
        self._jobs: dict[str, Fields] = {}
        self._job: Fields | None = None  # the one that is queued or running
        self._later: dict[str, tuple[float, Any]] = {}  # when, and the change

    def _advance(self) -> int:
        """Brings the machine to this moment, and says its phase; in between it moves on paper only."""
        now = time.monotonic()
        for name, (due, change) in list(self._later.items()):
            if due <= now:
                del self._later[name]
                change()
        began, start, goal, mm_s = self._trajectory
        if self._job and now >= began:
            self._job["stage"] = "running"
            self._mm = start + math.copysign(min(mm_s * (now - began), abs(goal - start)), goal - start)
            if self._mm == goal:
                self._job["stage"], self._job = "done", None
        return self._phase()

    def _phase(self) -> int:
        awake = TRAVELLING if self._job else LIFTING if "platform" in self._later else READY
        return HELD if self._held or self._estop else BOOT if "boot" in self._later else awake

    def _stop(self, stage: str, why: str | None = None) -> Reply:
        if self._job:
            self._job.update(stage=stage, why=why)
        self._job = None
        self._later.pop("platform", None)
        return 204, None

    def _trip(self, held: bool = False) -> Reply:
        if self._advance() != HELD:
            self._tripped = time.time()
        self._held = self._held or held
        self._later.pop("release", None)  # a release that was asked before is void
        return self._stop("failed", "held")

    def _readings(self, frozen: Fields | None = None) -> Fields:
        """All that GET finds, by its path (below the unit)."""
        now, up, phase = time.time() - BEHIND_S, time.monotonic() - self._born, self._phase()
        clock, moving = int(now * 1000), self._job and self._job["stage"] == "running"
        charge = round(max(0.05, 0.87 - (time.monotonic() - self._made) / 40_000), 4)
        units = [("lift-a", LIFTING, "NL-2"), (self.unit, phase, "NL-3"), ("lift-c", 9, "NL-2")]
        readings = {
            "/v2/units": [{"id": unit, "phase": phase, "model": model} for unit, phase, model in units],
            "pose": {"mm": [round(self._mm), 0], "mm_s": self._trajectory[3] if moving else 0, "taken": clock},
            "energy": {"charge": charge, "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))},
            "guard": {"tripped": True, "since": int((self._tripped - BEHIND_S) * 1000)} if phase == HELD else None,
            "counters": {"up_s": round(up, 1), "jobs": len(self._jobs), "beat": int(up * 5)},
            "platform": {"level": self._level},
            "fan": {"first_deg": -90, "step_deg": 2, "cm": self._fan(), "taken": clock},
            "settings": {"values": [{"key": key, "now": now} for key, now in self._settings.items()]},
            "parts": [{"no": no, "what": what, "alive": int(no != 2)} for no, what in enumerate(PARTS, 1)],
            **{f"parts/{no}/cells": {"cells": cells} for no, cells in self._cells.items()},
            **{f"jobs/{name}": job for name, job in self._jobs.items()},
            **(frozen or {}),
        }
        return {**readings, "pose": {**readings["pose"], "clock": clock}}

    def _fan(self) -> list[int]:
        """An aisle 3 m wide with a wall behind its end and a glass door on the left."""
        wall, turns = (LINE_MM - self._mm) / 10 + 100, [math.radians(degrees) for degrees in range(-90, 91, 2)]
        seen = [min(150 / max(abs(math.sin(turn)), 1e-9), wall / max(math.cos(turn), 1e-9)) for turn in turns]
        return [0 if cm > SIGHT_CM or 65 <= ray <= 68 else round(cm) for ray, cm in enumerate(seen)]

    def _goal(self, fields: Fields) -> Reply:
        mm, top, phase = whole(fields.get("mm"), "mm", 0, LINE_MM), self._settings["max_mm_s"], self._phase()
        mm_s = whole(fields.get("mm_s", top), "mm_s", 1, top)
        if phase != READY:
            note = f"busy with {self._job['job']}" if self._job else ("booting", "", "", "lifting", "held")[phase]
            return 409, {"phase": phase, "note": note}
        name = f"j-{len(self._jobs) + 1}"
        self._job = self._jobs[name] = {"job": name, "stage": "queued", "why": None}
        self._trajectory = (time.monotonic() + 0.1, self._mm, mm, mm_s)
        return 202, {"job": name}

    def _raise(self, level: Any) -> Reply:
        if type(level) is int and 0 <= level <= 3 and self._phase() not in (BOOT, HELD):
            self._later["platform"] = (time.monotonic() + 0.4, lambda: setattr(self, "_level", level))
        raise Refusal(500, "actuator link fault")

    def _set(self, key: str, value: Any) -> Reply:
        if key == "max_mm_s":
            whole(value, key, 100, 2_000)
        elif value not in ("auto", "on", "off"):
            raise Refusal(422, "lights must be auto, on or off")
        self._later[key] = (time.monotonic() + LATER_S, lambda: self._settings.update({key: value}))
        return 200, {"key": key, "now": self._settings[key]}


class Conversation(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, timeout = "HTTP/1.1", True, 3
    lift: Lift

    def reply(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, key = self.path.partition("?")[0], self.headers.get("X-Nordlift-Key", "")
        try:
            status, value = self.lift.answer(self.command, path, key, text)
            kind, said = "application/json", json.dumps(value).encode()
        except Refusal as refusal:
            status, kind, said = refusal.args[0], "text/plain", refusal.args[1].encode()
        headers = {"Content-Type": kind, "Content-Length": len(said)} if status != 204 else {}
        self.lift._flowing.wait(self.lift._hang)
        with contextlib.suppress(OSError):  # the caller may have left
            self.send_response(status)
            for name, content in {**headers, "Connection": "close"}.items():
                self.send_header(name, str(content))
            self.end_headers()
            self.wfile.write(said if headers else b"")


def main() -> None:
    parser = argparse.ArgumentParser(description="A Nordlift NL-3 on this host, until SIGTERM.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unit", default="nl3-0017")
    options, over = parser.parse_args(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with Lift(options.port, options.unit) as lift:
        print(lift.url, *(f"{name}={key}" for name, key in lift.keys.items()), sep="\n", flush=True)
        over.wait()


if __name__ == "__main__":
    main()
