"""The life of a lease and of a command, by machines that do what people, robots and time may do, in any order."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Max
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts.models import JournalEntry, User
from firmware import control, ending, resolution
from firmware.models import Command, CommandStatus, Robot, RobotState
from robotctl.problems import Problem
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
FEW = settings(max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
PEOPLE = st.sampled_from(["alice", "erin", "ada"])


class LeaseLife(RuleBasedStateMachine):
    """One robot, three people, and time."""

    robot: Robot
    people: dict[str, User]

    def __init__(self) -> None:
        super().__init__()
        RobotState.objects.update(lease_user_id=None, lease_holder="", lease_since=None, lease_until=None)
        self.holder: str | None = None

    def _refused(self, act: Any) -> str | None:
        try:
            act()
        except Problem as problem:
            return problem.code
        return None

    @rule(who=PEOPLE)
    def take(self, who: str) -> None:
        code = self._refused(lambda: control.take(self.robot, self.people[who]))
        assert code == (None if self.holder in (None, who) else "lease_held")
        self.holder = who if code is None else self.holder

    @rule(who=PEOPLE)
    def move(self, who: str) -> None:
        row = RobotState.objects.get(robot=self.robot)
        code = self._refused(lambda: control.for_motion(self.robot, row, self.people[who], timezone.now()))
        assert code == (None if self.holder in (None, who) else "lease_held")
        self.holder = who if code is None else self.holder

    @rule(who=PEOPLE)
    def give_back(self, who: str) -> None:
        code = self._refused(lambda: control.release(self.robot, self.people[who]))
        assert code == (None if self.holder in (None, who) else "lease_held")
        self.holder = None if code is None else self.holder

    @rule(who=PEOPLE)
    def break_it(self, who: str) -> None:
        self._refused(lambda: control.break_(self.robot, reason=f"by {who}"))
        self.holder = None

    @rule()
    def time_passes(self) -> None:
        RobotState.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        self.holder = None

    @invariant()
    def one_holds_it_at_most_and_everybody_sees_who(self) -> None:
        now, row = timezone.now(), RobotState.objects.get(robot=self.robot)
        assert (row.lease_holder if row.leased(now) else None) == self.holder


ENDS = [status for status in CommandStatus if status not in ("awaiting_approval", "accepted", "sending")]
STEPS = st.sampled_from(list(CommandStatus))


class CommandLife(RuleBasedStateMachine):
    """Several who want to take the same command on: the wire, a late reply, a person, another process."""

    robot: Robot

    def __init__(self) -> None:
        super().__init__()
        Command.objects.all().delete()
        self.journal = JournalEntry.objects.aggregate(last=Max("pk"))["last"] or 0  # what is written stays written
        now = timezone.now()
        about = {"kind": "motion", "params": {}, "deadline_at": now + timedelta(seconds=10)}
        self.command = Command.objects.create(robot=self.robot, name="move", **about)
        self.status, self.ended = "accepted", False

    def _stale(self) -> Command:
        """The row as somebody else has read it."""
        return Command.objects.select_related("robot").get(pk=self.command.pk)

    @rule(expected=STEPS, status=st.sampled_from(ENDS))
    def somebody_ends_it(self, expected: str, status: str) -> None:
        ending.end(self._stale(), expected, status, detail="as it was seen")
        if not self.ended and expected == self.status:
            self.status, self.ended = status, True

    @rule()
    def it_is_sent(self) -> None:
        advanced = self._stale().advance("accepted", "sending", sent_at=timezone.now())
        assert advanced == (not self.ended and self.status == "accepted")
        self.status = "sending" if advanced else self.status

    @rule()
    def it_is_answered(self) -> None:
        advanced = self._stale().advance("sending", "acknowledged", answered_at=timezone.now())
        assert advanced == (not self.ended and self.status == "sending")
        self.status = "acknowledged" if advanced else self.status

    @rule()
    def a_person_takes_it_back(self) -> None:
        try:
            resolution.cancel(self._stale(), reason="no")
        except Problem as problem:
            assert problem.code == "already_sent" and (self.ended or self.status != "accepted")
        else:
            assert self.status == "accepted" and not self.ended
            self.status, self.ended = "cancelled", True

    @invariant()
    def it_ends_once_and_stays_so(self) -> None:
        row = self._stale()
        assert (row.status, row.ended_at is not None) == (self.status, self.ended)
        verbs = [f"command.{status}" for status in ENDS]
        ends = JournalEntry.objects.filter(verb__in=verbs, robot=self.robot.slug, pk__gt=self.journal)
        assert ends.count() == int(self.ended), "an end has one row"


def test_the_life_of_a_lease(people: dict[str, User]) -> None:
    LeaseLife.robot, LeaseLife.people = register("oht-01", "http://127.0.0.1:9"), people
    run_state_machine_as_test(LeaseLife, settings=FEW)


def test_the_life_of_a_command(people: dict[str, User]) -> None:
    CommandLife.robot = register("oht-01", "http://127.0.0.1:9")
    run_state_machine_as_test(CommandLife, settings=FEW)
