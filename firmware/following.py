"""Commands whose robot named a job for them: followed until it works at that, then to its end, by whichever process lives."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts import journal
from firmware import jobs, presence, threads
from firmware.client import Reply, RobotClient
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.ending import end
from firmware.errors import BadProfile
from firmware.language.actions import Job
from firmware.models import Command, CommandStatus
from firmware.orders import Order
from firmware.telling import tell, took_s

Outcome = journal.Outcome


def named(command: Command, job: Job, reply: Reply) -> bool:
    """Write down how the robot calls what it does; ends the command when its answer does not tell."""
    name = jobs.named(job, reply)
    if name is None or len(name) > 200:
        detail = "The robot's answer names no job. What it does is unknown; look at its state."
        end(command, CommandStatus.ACKNOWLEDGED, CommandStatus.OUTCOME_UNKNOWN, code="bad_reply", detail=detail)
        return False
    command.job = name
    Command.objects.filter(pk=command.pk).update(job=name)
    return True


def begins(command: Command, order: Order, job: Job, client: RobotClient) -> bool:
    """Whether the robot works at its job; ends the command when it does not."""
    within_s = order.confirm_within_s
    stage = jobs.follow(client, job, command.job, within_s=within_s, until=("working", "done", "failed"))
    if stage.name in ("working", "done"):
        return True
    status, code = CommandStatus.OUTCOME_UNKNOWN, "unreadable"
    if stage.name == "failed":
        status, code = CommandStatus.FAILED, "job_failed"
        detail = f"The robot's job {command.job} failed. {stage.why}".strip()
    elif stage.name == "waiting":
        code = "job_waiting"
        detail = (
            f"The robot's job {command.job} was not begun within {within_s:g} s; it may begin yet. Look at its state."
        )
    else:
        detail = f"The robot's job {command.job} cannot be asked for. {stage.why} Look at its state."
    end(command, CommandStatus.ACKNOWLEDGED, status, code=code, detail=detail)
    return False


def to_its_end(command_id: int, client: RobotClient, job: Job) -> None:
    """Follow the job of a confirmed command to its end, and write that down. Runs on a thread of its own."""
    command = Command.objects.select_related("robot").get(pk=command_id)
    followed_s = (timezone.now() - command.ended_at).total_seconds() if command.ended_at else 0.0
    stage = jobs.follow(client, job, command.job, within_s=job.follow_s - followed_s, until=("done", "failed"))
    if threads.leaving.is_set() and stage.name not in ("done", "failed"):
        return  # it stays open, and another process goes on with it
    with transaction.atomic():
        followed = Command.objects.filter(pk=command_id, done_at=None, code=None)
        now, data = timezone.now(), {"job": command.job}
        if stage.name == "done":
            if followed.update(done_at=now) == 1:
                tell("command.done", command, outcome=Outcome.OK, data=data | {"took_s": took_s(command, now)})
            return
        failed = stage.name == "failed"
        how = "failed" if failed else "was followed no further"
        detail = f"The robot began; then its job {command.job} {how}. {stage.why}".strip()[:500]
        if followed.update(code="job_failed" if failed else "not_followed", detail=detail) == 1:
            outcome = Outcome.FAILED if failed else Outcome.UNKNOWN
            tell("command.job_failed", command, outcome=outcome, data=data | {"stage": stage.name, "why": stage.why})


def take_over(robot_ids: Iterable[int]) -> None:
    """Go on with the jobs that a process followed which is gone."""
    open_ = Command.objects.filter(
        robot_id__in=set(robot_ids), status=CommandStatus.CONFIRMED, done_at=None, code=None
    ).exclude(job="")
    for command in open_.select_related("robot"):
        if not presence.is_gone(command.carrier, forget=False):
            continue
        mine = Command.objects.filter(pk=command.pk, carrier=command.carrier).update(carrier=presence.me())
        if mine == 1:  # of several poll processes one takes it
            _go_on(command)


def _go_on(command: Command) -> None:
    try:
        client = client_for(command.robot)
    except (BadProfile, Unreadable):
        return
    spec = client.profile.commands.get(command.name)  # the client's: with this robot's own settings in its paths
    if spec is not None and spec.job is not None:
        threads.start(threads.jobs, to_its_end, command.pk, client, spec.job)
