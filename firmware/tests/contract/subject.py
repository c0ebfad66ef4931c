"""A registered robot in a test's hands: looked at, told, halted and brought home as the product would do it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from firmware import commands, conditions, parameters, recorder, reset, state, stop
from firmware.client import RobotClient
from firmware.clients import client_for
from firmware.errors import Busy, FirmwareError
from firmware.language.actions import Command as CommandSpec
from firmware.language.actions import Param
from firmware.language.kind import Profile
from firmware.language.words import MACHINE_STATE
from firmware.models import Command, Robot, RobotState
from firmware.tests.contract.kinds import Kind, Machine
from robotctl.problems import Problem
from robotctl.tests.fixtures import until

OBEYS_WITHIN_S = 5.0
BRAKES_FOR_S, AT_REST = 3.0, 0.01


@dataclass
class Subject:
    """The robot under test; `user` may operate it."""

    kind: Kind
    machine: Machine
    robot: Robot
    user: User

    @property
    def client(self) -> RobotClient:
        return client_for(self.robot)

    @property
    def spec(self) -> Profile:
        return self.client.profile

    # --- looking ----------------------------------------------------------------------------------------------------
    def look(self, rounds: int = 3) -> dict[str, Any]:
        """Read it whole, as the poll loop would, and write that down; three times is enough to count as online."""
        for _ in range(rounds):
            contacts = [self._contact(name) for name in self.spec.reads]
            recorder.record([contact for contact in contacts if contact is not None])
        return self.document()

    def _contact(self, read: str) -> recorder.Contact | None:
        at = timezone.now()
        try:
            return recorder.Contact.seen(self.robot.pk, self.client.read(read))
        except Busy:
            return None
        except FirmwareError as error:
            return recorder.Contact.failed(self.robot.pk, at, read, error)

    def row(self) -> RobotState:
        return RobotState.objects.select_related("robot__site").get(robot=self.robot)

    def document(self) -> dict[str, Any]:
        row = self.row()
        return state.document(row.robot, row, timezone.now())

    def told(self, field: str) -> dict[str, Any]:
        """A field as the state document has it; those that are not shown are made the same way."""
        document = self.document()
        if field == MACHINE_STATE:
            return dict(document[MACHINE_STATE])
        shown = document["readings"].get(field)
        return dict(shown or state.reading(self.robot, self.row(), self.spec, field, timezone.now()))

    def values(self) -> dict[str, Any]:
        return {name: value for name, (value, _) in self.row().readings.items()}

    @property
    def machine_state(self) -> str:
        return str(self.values().get(MACHINE_STATE))

    def is_stopped(self) -> bool:
        """Stopped, or in a state that a reset is there for."""
        return reset.in_a_stop(self.spec, self.values())

    # --- telling ----------------------------------------------------------------------------------------------------
    def send(self, name: str, params: dict[str, Any]) -> Command:
        """Submit a command and wait for its end."""
        spec = self.spec.commands[name]
        try:
            command, _ = commands.submit(self.robot, self.user, name=name, params=params, reason="contract suite")
        except Problem as problem:
            pytest.fail(f"{name} was refused before it was sent: {problem.detail}")
        waits_s = spec.confirm_within_s + spec.holds_s + spec.deadline_s + 2 * spec.blocks_s
        commands.running.wait(command.pk, waits_s + (spec.timeout_s or self.spec.transport.timeout_s) + 5)
        command.refresh_from_db()
        assert command.ended_at, f"{name} has not ended; it is {command.status}"
        return command

    def sample(self, name: str) -> dict[str, Any]:
        """Parameters to try a command with. Skips when the profile gives nothing to go by."""
        found = {}
        for key, param in self.spec.commands[name].params.items():
            value = _sample(param)
            if value is not None:
                found[key] = value
            elif param.required:
                pytest.skip(f"parameter {key}: the profile gives no example")
        return found

    def telling(self, name: str) -> dict[str, Any]:
        """The sample, or, where its confirmation holds already, other parameters for which it does not, if there are any."""
        command, sample, values = self.spec.commands[name], self.sample(name), self.values()
        for candidate in [sample, *_others(command, sample)]:
            if not conditions.hold(command.confirm, values, parameters.check(command.params, candidate)):
                return candidate
        return sample

    def motions(self) -> list[str]:
        """The motion commands that it obeys, as far as is known, and would take now."""
        found = self.document()["commands"]
        spec = self.spec.commands
        return [name for name in spec if spec[name].kind == "motion" and found[name]["allowed"]]

    def set_moving(self) -> str | None:
        """Have it move, if it can be seen to; the name of the command that did it."""
        for name in self.motions():
            if name not in self.kind.expect and self.spec.commands[name].observable:
                ended = self.send(name, self.telling(name))
                if ended.status == "rejected":  # it may be braking still from what was halted just before
                    time.sleep(BRAKES_FOR_S)
                    self.look()
                    ended = self.send(name, self.telling(name))
                return name if ended.status == "confirmed" else None
        return None

    def into(self, states: list[str]) -> None:
        """Bring it into one of `states`, by moving it if need be. Skips when that does not lead there."""
        if not states or self.machine_state in states:
            return
        if self.set_moving() is not None:
            self.look(1)
        if self.machine_state not in states:
            pytest.skip(f"it is {self.machine_state}, and cannot be brought into {' or '.join(states)} from here")

    def press_stop(self, reason: str = "contract suite") -> stop.StopResult:
        (result,) = stop.stop_robots([self.robot], by=self.user.username, reason=reason)
        return result

    def calm_down(self, *, sure: bool) -> str:
        """End its motion, with a halting command where it takes one, else by a stop; in words. `sure`: its state tells."""
        document = self.look(1)
        if sure and self.machine_state == "idle":
            return "it stands"
        for name, command in self.spec.commands.items():
            if command.kind == "stop" and document["commands"][name]["allowed"]:
                ended = self.send(name, self.sample(name))
                assert ended.status in ("confirmed", "acknowledged"), f"{name}: {ended.detail}"
                self._come_to_rest()
                return f"then {name} {ended.status}"
        result = self.press_stop()
        assert result.status == "confirmed", f"it was to be stopped, and is not: {result.detail}"
        return f"then stopped in {result.shape()['elapsed_ms']:.0f} ms"

    def _come_to_rest(self) -> None:
        """Halted is told before it has braked; wait for that where a speed is told."""
        speeds = [name for name, field in self.spec.fields.items() if field.unit in ("m/s", "mm/s", "°/s")]
        until_ = time.monotonic() + BRAKES_FOR_S
        while any(abs(self.values().get(name) or 0.0) > AT_REST for name in speeds) and time.monotonic() < until_:
            self.look(1)
            time.sleep(0.1)

    def come_home(self) -> None:
        """Out of a stop and out of motion, as far as its profile knows a way."""
        self.look(1)
        if self.machine_state in ("moving", "docking"):
            self.calm_down(sure=True)
        if (self.is_stopped() or self.row().stop_latched) and self.spec.reset is not None:
            result = reset.reset(self.robot, reason="contract suite")
            assert result["status"] == "confirmed", f"it does not leave its stop: {result['detail']}"
        self.look()

    def wait_for(self, check: Any, *, timeout_s: float = OBEYS_WITHIN_S) -> Any:
        return until(check, timeout_s=timeout_s, tell=lambda: self.row().last_error)


def _sample(param: Param) -> Any:
    """Example, default, first choice or the middle."""
    if param.example is not None:
        return param.example
    if param.default is not None:
        return param.default
    if param.choices:
        return param.choices[0]
    if param.required and param.minimum is not None and param.maximum is not None:
        middle = (param.minimum + param.maximum) / 2
        return int(middle) if param.type == "integer" else middle
    return False if param.required and param.type == "flag" else None


def _others(command: CommandSpec, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The sample with one parameter changed to another that is allowed."""
    for name, param in command.params.items():
        values: list[Any] = (
            list(param.choices) if param.type == "text" else [True, False] if param.type == "flag" else []
        )
        if param.type in ("number", "integer") and param.minimum is not None and param.maximum is not None:
            width = param.maximum - param.minimum
            near = sample.get(name, param.minimum)
            wanted = [near + width / 20, near - width / 20, param.minimum + width / 4, param.maximum - width / 4]
            values = [round(value) if param.type == "integer" else value for value in wanted]
            values = [value for value in values if param.minimum <= value <= param.maximum]
        yield from (sample | {name: value} for value in values if value != sample.get(name))


def milliseconds(since: float) -> str:
    return f"{(time.monotonic() - since) * 1000:.0f} ms"
