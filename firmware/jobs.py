"""Replies that only name a job: what becomes of it is asked for, first until the robot works at it, then until it ends."""

import threading
import time
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from firmware import replies
from firmware.client import Reply, RobotClient
from firmware.errors import FirmwareError
from firmware.language.actions import Job
from firmware.language.equipment import Fetch
from firmware.models import Command

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True)
class Stage:
    """Where a job stands: `waiting`, `working`, `done`, `failed`, or `unknown`, with the robot's reason."""

    name: str
    why: str = ""


def named(job: Job, reply: Reply) -> str | None:
    """The job's name in the robot's answer."""
    found = replies.find(job.id, reply.said)
    return replies.word(found) if isinstance(found, str | int | float) else None


def ask(client: RobotClient, job: Job, name: str) -> Stage:
    """Where the job stands now. Raises FirmwareError."""
    found = client.fetch(Fetch(path=job.path, token=job.token), {"job": name})
    reply: Any = found[0] if found else None
    state = replies.find(job.state, reply)
    why = replies.find(job.why, reply)
    for stage, states in (("done", job.done), ("failed", job.failed), ("working", job.working)):
        if replies.word(state) in states:
            return Stage(stage, client.words(why[:300]) if isinstance(why, str) else "")
    return Stage("waiting")


def follow(client: RobotClient, job: Job, name: str, *, within_s: float, until: tuple[str, ...]) -> Stage:
    """Ask until the job is in one of the stages `until`, at most `within_s`."""
    ends, pause_s, stage = time.monotonic() + within_s, FIRST_PAUSE_S, Stage("unknown")
    while threading.main_thread().is_alive():
        try:
            stage = ask(client, job, name)
        except FirmwareError as error:
            stage = Stage("unknown", str(error))
        if stage.name in until or time.monotonic() + pause_s > ends:
            break
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    return stage


def see_through(command_id: int, client: RobotClient, job: Job, name: str) -> None:
    """Follow the job of a confirmed command to its end, and write that down. Runs on a thread of its own."""
    from firmware.execution import tell  # it starts us

    stage = follow(client, job, name, within_s=job.follow_s, until=("done", "failed"))
    with transaction.atomic():
        command = Command.objects.select_related("robot").get(pk=command_id)
        if stage.name == "done":
            if Command.objects.filter(pk=command_id, done_at=None).update(done_at=timezone.now()) == 1:
                tell("command.done", command, outcome="ok", data={"job": name})
        else:
            outcome = "failed" if stage.name == "failed" else "unknown"
            ended = "failed" if stage.name == "failed" else "was followed no further"
            detail = f"The robot began; then its job {name} {ended}. {stage.why}".strip()[:500]
            Command.objects.filter(pk=command_id).update(
                code="job_failed" if outcome == "failed" else None, detail=detail
            )
            tell(
                "command.job_failed",
                command,
                outcome=outcome,
                data={"job": name, "stage": stage.name, "why": stage.why},
            )
