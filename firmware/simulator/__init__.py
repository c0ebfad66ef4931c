"""A simulated OHT-50, as nasty as the real one. Standard library only; knows nothing of the rest of robotctl.

with Simulator(dialect="observed") as robot:
    requests.get(robot.url + "/health")
    robot.fault("hang", path="/api/v1/state")
"""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from firmware.simulator.robot import Robot
from firmware.simulator.server import server_for
from firmware.simulator.vehicle import TOKENS, Settings
from firmware.simulator.wire import Json

START_TIMEOUT_S = 60.0


class Simulator:
    """One robot with its server, in this process. `port` 0 takes any free port.

    `settings`, where given, hold the dialect as well; without them the robot boots at once and writes registers fast.
    """

    def __init__(
        self,
        *,
        dialect: str = "documented",
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[str] = (),
        settings: Settings | None = None,
        on_death: Callable[[Robot], None] | None = None,
    ) -> None:
        self.robot = Robot(settings or Settings(dialect=dialect, boot_s=0.0, register_write_s=(0.05, 0.1)))
        self._server = server_for(self.robot, host, port, on_death)
        self.host, self.port = host, self._server.port
        self.url = f"http://{host}:{self.port}"
        for name in faults:
            self.fault(name)

    def power_up(self) -> None:
        """Begin to boot."""
        self._server.start()

    def start(self) -> Self:
        """Power up and wait until the robot has booted. OSError if somebody else listens on the port."""
        self.power_up()
        self.wait_booted()
        return self

    def wait_booted(self) -> None:
        """Wait for the end of the first boot. OSError if somebody else listens on the port."""
        self._server.ready.wait(START_TIMEOUT_S + self.robot.settings.boot_s)
        if self._server.failure is not None:
            raise self._server.failure

    def stop(self) -> None:
        """Power down; every socket is closed and every thread has ended when this returns."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def died(self) -> bool:
        """Whether a client has killed the firmware by leaving too early."""
        return self.robot.died

    def fault(self, name: str, value: float | None = None, *, path: str = "/", count: int | None = None) -> None:
        """Switch a fault on: for requests whose path starts with `path`, for the next `count` of them or until
        cleared. `restart` happens at once and is over by itself."""
        self.robot.faults.set(name, value, path, count)
        if name == "restart":
            self.robot.faults.clear(name)
            self._server.restart()
        elif name == "frozen":
            self.robot.freeze()
        elif name == "refuse":
            self._server.settle()

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self.robot.faults.clear(name)
        self._server.settle()

    def restart(self) -> None:
        """Restart the firmware, also after it died."""
        self.fault("restart")

    def press_estop(self) -> None:
        """Press the hardware emergency stop."""
        self.robot.press_estop()

    def release_estop(self) -> None:
        """Turn the hardware emergency stop back out."""
        self.robot.release_estop()

    def plug(self, module: int, *, there: bool = True) -> None:
        """Put the module with this address on the bus, or take it off; today's binary does not notice."""
        self.robot.plug(module, there=there)

    def set_battery(self, percent: float) -> None:
        """Charge in percent."""
        self.robot.set_battery(percent)

    def place(self, position_m: float) -> None:
        """Carry the robot to `position_m` metres from the dock."""
        self.robot.place(position_m)

    def truth(self) -> dict[str, Any]:
        """What really is, whatever the API says."""
        return {**self.robot.truth(), "port": self.port}


__all__ = ["TOKENS", "Json", "Robot", "Settings", "Simulator"]
