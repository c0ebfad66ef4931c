"""`python -m firmware.simulator --port 8080`: one or more simulated robots until SIGTERM or Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

from firmware.simulator import Simulator
from firmware.simulator.control import Control
from firmware.simulator.faults import FAULTS
from firmware.simulator.robot import Robot
from firmware.simulator.vehicle import TOKENS, Settings

PORT_IN_USE_EXIT = 2
SIGPIPE_EXIT = 141
# What the documents and the binary call the robot, and how long it boots (seconds; with modules on the bus).
ROBOT_IDS = {"documented": "OHT-50", "observed": "OHT-50-001"}
BOOT_S, BOOT_WITH_MODULES_S = 0.2, 17.0


def _fault(text: str) -> tuple[str, float | None, str]:
    """NAME[=VALUE][@PATHPREFIX]"""
    rest, _, path = text.partition("@")
    name, equals, value = rest.partition("=")
    if name not in FAULTS:
        raise argparse.ArgumentTypeError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
    try:
        return name, float(value) if equals else None, path or "/"
    except ValueError:
        raise argparse.ArgumentTypeError(f"value of {name} must be a number") from None


def _token(text: str) -> tuple[str, str]:
    """ROLE=VALUE"""
    role, equals, value = text.partition("=")
    if role not in TOKENS or not equals or not value:
        raise argparse.ArgumentTypeError(f"expected ROLE=VALUE with ROLE one of {', '.join(TOKENS)}")
    return role, value


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m firmware.simulator", description=__doc__)
    add = result.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=_port, default=8080, help="port of the first robot; the others follow")
    add("--robots", type=int, default=1, help="robots in this process; the death of one ends all")
    add("--dialect", choices=sorted(ROBOT_IDS), default="documented")
    add("--fault", type=_fault, action="append", default=[], metavar="NAME[=VALUE][@PATH]", help=", ".join(FAULTS))
    add("--control-port", type=_port, help="truth and levers, on 127.0.0.1 only")
    add("--rail-m", type=float, default=100.0)
    add("--start-m", type=float, default=10.0)
    add("--boot-s", type=float, help=f"default {BOOT_S}, observed with --modules {BOOT_WITH_MODULES_S}")
    add("--seed", type=int, default=0)
    add("--robot-id", help="default: what the dialect says")
    add("--token", type=_token, action="append", default=[], metavar="ROLE=VALUE")
    add("--modules", action="store_true", help="observed: four modules on the bus")
    add("--lidar", action="store_true", help="observed: a LiDAR is connected")
    add("--register-write-s", type=float, help="observed: seconds a register write blocks (default 1.7 to 4.3)")
    return result


def _settings(options: argparse.Namespace, index: int) -> Settings:
    slow_boot = options.modules and options.dialect == "observed"
    boot_s = options.boot_s if options.boot_s is not None else (BOOT_WITH_MODULES_S if slow_boot else BOOT_S)
    write_s = options.register_write_s
    return Settings(
        dialect=options.dialect,
        robot_id=options.robot_id or ROBOT_IDS[options.dialect],
        rail_m=options.rail_m,
        start_m=options.start_m,
        boot_s=boot_s,
        seed=options.seed + index,
        tokens=TOKENS | dict(options.token),
        modules=options.modules,
        lidar=options.lidar,
        register_write_s=(1.7, 4.3) if write_s is None else (write_s, write_s),
    )


def _die(robot: Robot) -> None:
    """End as the real firmware does: at once, with the status of a process killed by SIGPIPE."""
    print(f"firmware killed: SIGPIPE ({robot.settings.robot_id}): a client left before its reply", file=sys.stderr)
    sys.stderr.flush()
    os._exit(SIGPIPE_EXIT)


def _build(options: argparse.Namespace) -> tuple[list[Simulator], Control | None]:
    """Bind every port, then start. OSError names the port that is taken."""
    simulators: list[Simulator] = []
    for index in range(options.robots):
        port = options.port + index if options.port else 0
        try:
            simulator = Simulator(host=options.host, port=port, settings=_settings(options, index), on_death=_die)
            simulators.append(simulator)
        except OSError as error:
            raise OSError(f"port {port}: {error.strerror}") from error
    for simulator in simulators:
        for name, value, path in options.fault:
            simulator.fault(name, value, path=path)
    if options.control_port is None:
        return simulators, None
    try:
        return simulators, Control(simulators, options.control_port)
    except OSError as error:
        raise OSError(f"port {options.control_port}: {error.strerror}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to end; the exit status is 0, 2 for a port in use, 141 for a killed firmware."""
    options = parser().parse_args(arguments)
    # A wait on a pipe, not on a lock: signals are then handled at once and an idle process does nothing.
    ended, end = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(end, b"x"))
    try:
        simulators, control = _build(options)
        if control is not None:
            control.start()
        # Booting may take seconds, and a signal must not wait for it.
        threading.Thread(target=_start, args=(simulators, options.dialect, end), daemon=True).start()
    except OSError as error:
        print(f"simulator cannot start: {error}", file=sys.stderr)
        return PORT_IN_USE_EXIT
    failed = os.read(ended, 1) == b"f"
    sys.stdout.flush()
    # Everything is in daemon threads and the kernel closes the sockets: nothing is worth waiting for.
    os._exit(PORT_IN_USE_EXIT if failed else 0)


def _start(simulators: Sequence[Simulator], dialect: str, end: int) -> None:
    """Boot all robots together and announce each, or say why not and end the process."""
    for simulator in simulators:
        simulator.power_up()
    for simulator in simulators:
        try:
            simulator.wait_booted()
        except OSError as error:
            print(f"simulator cannot start: port {simulator.port}: {error.strerror}", file=sys.stderr, flush=True)
            os.write(end, b"f")
            return
        print(f"simulator oht-50 {dialect} listening on {simulator.url}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
