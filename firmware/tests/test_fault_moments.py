"""Every fault at every moment of a move and of a stop: in the request, in the read-back, while it goes on. Whatever happens, nothing is
sent twice, nothing is said that is not so, no firmware dies of us, each command has one end, and it all comes right again."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from accounts.models import JournalEntry
from firmware import threads
from firmware.drainer import drainer
from firmware.models import Command, Robot, RobotState
from firmware.simulator import Simulator
from firmware.tests.test_fault_matrix import FAULTS, SLOW_S, asked
from firmware.tests.test_fault_matrix import quick as quick
from robotctl.tests.fixtures import look, until
from robotctl.tests.system import register

pytestmark = [pytest.mark.system, pytest.mark.django_db(transaction=True)]
MOVE, STOP, READ = "/api/v1/motion/segment/start", "/api/v1/state/emergency", "/api/v1/system/state"
WRITE, CELLS = "/api/v1/modules/2/registers/0x0030", "/api/v1/modules/2/data"
ALL = [*FAULTS, "restart", "drip", "late_estop"]
AT_ONCE = 5
FAULT_LASTS_S = 1.5
TARGET_M = 13.0
ENDS = ("confirmed", "failed", "rejected", "expired", "cancelled", "outcome_unknown")


@dataclass
class Case:
    """One robot, one fault, one moment."""

    fault: str
    robot: Robot
    simulator: Simulator

    def strike(self, path: str = "/") -> None:
        self.simulator.fault(self.fault, SLOW_S if self.fault == "slow" else None, path=path)

    def strike_when_asked(self, path: str) -> None:
        """As a fault of one path; a restart has none, and comes when a slow robot has got the request."""
        if self.fault != "restart":
            self.strike(path)
            return
        self.simulator.fault("slow", 0.4, path=path)
        target = STOP if path == STOP else WRITE if path in (WRITE, CELLS) else MOVE

        def restart() -> None:
            until(lambda: self.truth["by_path"].get(f"POST {target}"), every_s=0.01)
            self.strike()

        threads.start(threads.jobs, restart)

    @property
    def truth(self) -> dict[str, Any]:
        return self.simulator.truth()

    @property
    def row(self) -> RobotState:
        return RobotState.objects.get(robot=self.robot)


@pytest.fixture
def each(quick: str, polling: Any) -> Iterator[Callable[[Callable[[Case], None], str], None]]:
    """Run a check for every fault, each with a robot of its own, some at once; all that fail are told."""
    made: list[Simulator] = []

    def one(check: Callable[[Case], None], fault: str, dialect: str) -> str | None:
        simulator = Simulator(dialect=dialect).start()
        made.append(simulator)
        robot = register(fault.replace("_", "-"), simulator.url, profile=quick, poll_interval_s=0.5)
        try:
            look(robot)
            check(Case(fault, robot, simulator))
        except Exception as error:  # noqa: BLE001 - told with the others
            return f"{fault}: {error!r}"
        finally:
            connections.close_all()
        return None

    def run(check: Callable[[Case], None], dialect: str = "documented") -> None:
        polling()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = [told for told in pool.map(lambda fault: one(check, fault, dialect), ALL) if told]
        assert not wrong, "\n".join(wrong)

    yield run
    for simulator in made:
        simulator.clear()
    drainer.wait(10)
    assert threads.settle(20)
    for simulator in made:
        simulator.stop()


def check_move(case: Case, target_m: float = TARGET_M) -> None:
    """What the row says, against what the robot did."""
    command = Command.objects.get(robot=case.robot)
    obeyed, sent = case.truth["target_m"] == target_m, case.truth["by_path"].get(f"POST {MOVE}", 0)
    assert sent <= 1, f"sent {sent} times"
    assert command.status in ENDS, command.status
    assert command.status != "confirmed" or obeyed, f"confirmed, and it does not obey: {command.detail}"
    unbegun = command.status in ("failed", "rejected", "expired", "cancelled")
    assert not (unbegun and obeyed), f"{command.status}, and it obeys: {command.detail}"
    ends = [row.verb for row in JournalEntry.objects.filter(robot=case.robot.slug, data__command=command.pk)]
    assert sum(verb.removeprefix("command.") in ENDS for verb in ends) in (1, 2), (
        ends
    )  # 2: a late answer ends the doubt
    assert len(ends) == len(set(ends)), f"told twice: {ends}"


def comes_right(case: Case) -> None:
    """The fault is over: the robot is read again, and told as it is; its firmware has survived us."""
    case.simulator.clear()
    drainer.wait(5)

    def right() -> bool:
        row = case.row
        state, at = row.observed("machine_state")
        shown = {"IDLE": "idle", "MOVE": "moving", "ESTOP": "estopped"}.get(case.truth["state"])
        return row.recorded_mode == "online" and state == shown and time.time() - at.timestamp() < 2 if at else False

    until(right, timeout_s=30, tell=lambda: (case.row.recorded_mode, case.row.last_error, case.truth["state"]))
    assert not case.simulator.died, "the firmware died of us"


def move(api: Any, case: Case, target_m: float = TARGET_M) -> Any:
    return api("alice").send(case.robot.slug, "move", {"target_m": target_m}, wait_s=15).json()


@pytest.mark.parametrize("path", [MOVE, READ], ids=["request", "read-back"])
def test_a_move_in_whose_midst_it_strikes(path: str, api: Any, each: Any) -> None:
    def check(case: Case) -> None:
        case.strike_when_asked(path)
        move(api, case)
        until(lambda: not Command.objects.filter(robot=case.robot, ended_at=None).exists())
        check_move(case)
        comes_right(case)
        check_move(case)

    each(check)


def test_a_move_that_is_under_way_when_it_strikes(api: Any, each: Any) -> None:
    def check(case: Case) -> None:
        assert move(api, case)["status"] == "confirmed"
        case.strike()
        time.sleep(FAULT_LASTS_S)
        command = Command.objects.get(robot=case.robot)
        assert command.done_at is None or case.truth["position_m"] == pytest.approx(TARGET_M, abs=0.06)
        comes_right(case)
        check_move(case, TARGET_M if case.fault != "restart" else case.truth["target_m"])
        if case.fault != "restart":  # a robot that restarts has forgotten where it was going
            until(lambda: Command.objects.get(robot=case.robot).done_at, timeout_s=20)
            assert case.truth["position_m"] == pytest.approx(TARGET_M, abs=0.06)

    each(check)


@pytest.mark.parametrize("dialect", ["documented", "observed"])
@pytest.mark.parametrize("path", [STOP, READ, "/"], ids=["request", "read-back", "afterwards"])
def test_a_stop_in_whose_midst_it_strikes(path: str, dialect: str, api: Any, each: Any) -> None:
    def check(case: Case) -> None:
        if dialect == "documented":
            assert move(api, case, 60.0)["status"] == "confirmed"
        if path != "/":
            case.strike_when_asked(STOP if case.fault == "restart" else path)
        answer = api("bob").post(f"/api/v1/robots/{case.robot.slug}/stop/", {}, format="json").json()["results"][0]
        if path == "/":
            assert answer["status"] == "confirmed"
            case.strike()
            time.sleep(FAULT_LASTS_S)
        elif case.fault != "restart":
            assert answer["status"] != "confirmed" or case.truth["state"] == "ESTOP"
        assert case.row.stop_latched
        comes_right(case)
        until(lambda: case.row.stop_status == "confirmed", timeout_s=20)
        if (
            case.fault == "restart"
        ):  # what confirmed it may be over: then that is told, and it is not stopped again by us
            left = JournalEntry.objects.filter(robot=case.robot.slug, verb="stop.left")
            until(lambda: case.truth["state"] == "ESTOP" or left.exists(), timeout_s=10)
        else:
            assert case.truth["state"] == "ESTOP"

    each(check, dialect)


@pytest.mark.parametrize("path", [WRITE, CELLS], ids=["request", "read-back"])
def test_a_register_write_in_whose_midst_it_strikes(path: str, api: Any, each: Any) -> None:
    def check(case: Case) -> None:
        command = asked(api, case.robot.slug)
        case.strike_when_asked(path)
        api("ada").post(f"/api/v1/commands/{command}/approve/", {"wait_s": 15}, format="json")
        row = until(lambda: Command.objects.filter(pk=command, ended_at__isnull=False).first(), timeout_s=15)
        assert row.status in (*ENDS, "acknowledged"), row.status
        sent = case.truth["by_path"].get(f"POST {WRITE}", 0)
        assert sent <= 1, f"sent {sent} times"
        assert row.status != "confirmed" or sent == 1, "confirmed, and nothing was sent"
        assert row.sent_at is not None or row.status in ("failed", "expired", "cancelled", "rejected"), row.status
        comes_right(case)
        told = [entry.verb for entry in JournalEntry.objects.filter(robot=case.robot.slug, data__command=command)]
        assert len(told) == len(set(told)), f"told twice: {told}"

    each(check)
