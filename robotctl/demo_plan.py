"""Which ports the demo robots have: chosen once, then kept, because the robots in the database point at them."""

import json
import os
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

FIRST_PORT = 8101
FIRST_CONTROL_PORT = 8201
LAST_PORT = 65_535


class PlanError(Exception):
    """The demo robots cannot have their ports; the message says which, and what to do."""


@dataclass(frozen=True)
class DemoRobot:
    slug: str
    port: int
    control_port: int


def hold(port: int) -> socket.socket | None:
    """Listen on a local port, or None when somebody else does. A port of a process just ended counts as free."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", port))
        held.listen(1)
    except OSError:
        held.close()
        return None
    return held


def _take(port: int, holding: ExitStack, web_port: int) -> int:
    for candidate in range(port, LAST_PORT):
        held = None if candidate == web_port else hold(candidate)
        if held:
            holding.enter_context(held)
            return candidate
    raise PlanError(f"No free port for a demo robot from {port} upward.")


def _choose(robots: int, holding: ExitStack, web_port: int) -> list[DemoRobot]:
    chosen = []
    port, control = FIRST_PORT, FIRST_CONTROL_PORT
    for number in range(1, robots + 1):
        port, control = _take(port, holding, web_port), _take(control, holding, web_port)
        chosen.append(DemoRobot(f"oht-{number:02d}", port, control))
    return chosen


def _read(path: Path) -> list[DemoRobot] | None:
    try:
        return [
            DemoRobot(str(row["slug"]), int(row["port"]), int(row["control_port"]))
            for row in json.loads(path.read_text())["robots"]
        ]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(
            f"{path} cannot be read ({error!r}): restore it, or delete the whole folder {path.parent} to begin anew."
        ) from error


def _write(path: Path, plan: list[DemoRobot]) -> None:
    draft = path.with_suffix(".json.new")
    draft.write_text(json.dumps({"robots": [asdict(robot) for robot in plan]}, indent=2) + "\n")
    os.replace(draft, path)  # whole or not at all


def _wait_until_free(plan: list[DemoRobot], path: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    for robot in plan:
        for port in (robot.port, robot.control_port):
            while not (held := hold(port)):  # a simulator of the run before may still be going
                if time.monotonic() > deadline:
                    raise PlanError(
                        f"Port {port} of the demo robot {robot.slug} is used by another program: end it, start again. "
                        f"(Ports stand in {path}; to have new ones, delete it and change the robots' addresses.)"
                    )
                time.sleep(0.1)
            held.close()


def demo_plan(var: Path, robots: int, holding: ExitStack, *, web_port: int = 0, wait_s: float = 3.0) -> list[DemoRobot]:
    """The demo robots, from `var/demo.json`, which the first start makes. None of them has the pages' port.

    Ports newly chosen stay occupied until `holding` is closed, so that two checkouts that start together choose apart.
    """
    path = var / "demo.json"
    plan = _read(path)
    if plan is None:
        plan = _choose(robots, holding, web_port)
        _write(path, plan)
    else:
        for robot in plan:
            if web_port in (robot.port, robot.control_port):
                raise PlanError(
                    f"PORT={web_port} is the port of the demo robot {robot.slug}: give the pages another one."
                )
        _wait_until_free(plan, path, wait_s)
    return plan
