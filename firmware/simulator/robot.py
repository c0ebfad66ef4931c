"""A robot as its server sees it: requests in, replies out, faults in between, and a log of all of it."""

import copy
import threading
import time
from collections import Counter, deque

from firmware.simulator import documented, observed
from firmware.simulator.clock import StoppedClock
from firmware.simulator.faults import Fault, Faults
from firmware.simulator.vehicle import Settings, Vehicle
from firmware.simulator.wire import Call, Json, Reply, Request

DIALECTS = {"documented": documented.DIALECT, "observed": observed.DIALECT}
LOG_LENGTH = 200
LOGGED_BODY_BYTES = 2048
# Faults that answer in the firmware's place: the request is not carried out.
GARBAGE = b"\x00\xff\xfe<<<not json" * 8
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"


class Robot:
    """One robot behind its API; safe to use from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults()
        self.died = False
        self._dialect = DIALECTS[settings.dialect]
        self._lock = threading.RLock()
        self._vehicle = Vehicle(settings)
        self._still: Vehicle | None = None
        self._log: deque[Json] = deque(maxlen=LOG_LENGTH)
        self._by_path: Counter[str] = Counter()
        self._bodies = 0

    # -- the API

    def note(self, request: Request) -> Json:
        """Write a request down as it arrives; the caller adds its status once it is answered."""
        entry: Json = {
            "at": time.time(),
            "monotonic": time.monotonic(),
            "method": request.method,
            "path": request.target,
            "body": request.body[:LOGGED_BODY_BYTES].decode("utf-8", "replace"),
            "status": None,
        }
        with self._lock:
            self._log.append(entry)
            self._by_path[f"{request.method} {request.path}"] += 1
            self._bodies += bool(request.body)
        return entry

    def answer(self, request: Request, faults: dict[str, Fault]) -> Reply:
        """Carry a request out, or what a fault makes of it."""
        with self._lock:
            late_s = faults["late_estop"].value if "late_estop" in faults else 0.0
            vehicle = self._vehicle_for(request, faults)
            vehicle.refresh()
            call = Call(vehicle, request, emergency_delay_s=late_s)
            if "deny" in faults:
                return self._dialect.unauthorized(call)
            if "error" in faults:
                return self._dialect.error(call, int(faults["error"].value), "Internal error")
            if "garbage" in faults:
                return Reply(200, GARBAGE)
            if "html" in faults:
                return Reply(200, PAGE, "text/html")
            return self._dialect.answer(call)

    def _vehicle_for(self, request: Request, faults: dict[str, Fault]) -> Vehicle:
        """The real vehicle, or a stand-in that a fault puts in its place."""
        if request.method == "POST" and "disobey" in faults:
            return copy.deepcopy(self._vehicle)
        if request.method == "GET" and "frozen" in faults and self._still is not None:
            return self._still
        return self._vehicle

    # -- things that happen to it

    def freeze(self) -> None:
        """Keep a picture of the present for the `frozen` fault to show from now on."""
        with self._lock:
            now = self._vehicle.refresh()
            self._still = copy.deepcopy(self._vehicle)
            self._still.clock = StoppedClock(now, self._vehicle.clock.epoch())

    def reboot(self) -> None:
        """Restart the firmware, also after it died."""
        with self._lock:
            self.died = False
            self._vehicle.reboot()

    def plug(self, module: int, *, there: bool) -> None:
        """Take a module off the bus, or put it back."""
        with self._lock:
            (self._vehicle.unplugged.discard if there else self._vehicle.unplugged.add)(module)

    def press_estop(self) -> None:
        """Press the hardware button."""
        with self._lock:
            self._vehicle.refresh()
            self._vehicle.press_button()

    def release_estop(self) -> None:
        """Turn the hardware button back out."""
        with self._lock:
            self._vehicle.refresh()
            self._vehicle.release_button()

    def set_battery(self, percent: float) -> None:
        """Charge in percent."""
        with self._lock:
            self._vehicle.refresh()
            self._vehicle.set_battery(percent)

    def place(self, position_m: float) -> None:
        """Position in metres from the dock."""
        with self._lock:
            self._vehicle.refresh()
            self._vehicle.place(position_m)

    # -- the truth

    def truth(self) -> Json:
        """What really is, whatever the API says."""
        with self._lock:
            self._vehicle.refresh()
            motion = self._vehicle.motion
            return {
                "robot_id": self.settings.robot_id,
                "dialect": self.settings.dialect,
                "state": str(self._vehicle.state),
                "total_transitions": self._vehicle.machine.transitions,
                "position_m": motion.position_m,
                "speed_mps": motion.speed_mps,
                "target_m": motion.target_m if motion.moving else None,
                "moving": motion.moving,
                "battery_percent": motion.battery_percent,
                "estop_pressed": self._vehicle.button_pressed,
                "estop_count": self._vehicle.estop_count,
                "faults": self.faults.describe(),
                "requests": sum(self._by_path.values()),
                "bodies_received": self._bodies,
                "by_path": dict(self._by_path),
                "died": self.died,
                "log": [dict(entry) for entry in self._log],
            }
