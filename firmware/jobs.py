"""Replies that only name a job: what becomes of it is asked for, first until the robot works at it, then until it ends."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag, urljoin

from firmware import replies, threads
from firmware.client import Reply, RobotClient
from firmware.errors import BadReply, FirmwareError
from firmware.language.actions import Job
from firmware.language.equipment import Fetch

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True)
class Stage:
    """Where a job stands: `waiting`, `working`, `done`, `failed`, or `unknown`, with the robot's reason."""

    name: str
    why: str = ""


def named(job: Job, reply: Reply) -> str | None:
    """The job's name, or its address, in the robot's answer."""
    found = reply.location if job.id is None else replies.find(job.id, reply.said)
    return replies.word(found) if isinstance(found, str | int | float) and found != "" else None


def ask(client: RobotClient, job: Job, name: str) -> Stage:
    """Where the job stands now. Raises FirmwareError."""
    path = job.path or path_of(client.base_url, name)
    found = client.fetch(Fetch(path=path, token=job.token, pattern=job.pattern), {"job": name})
    reply: Any = found[0] if found else None
    state = replies.find(job.state, reply)
    why = replies.find(job.why, reply)
    for stage, states in (("done", job.done), ("failed", job.failed), ("working", job.working)):
        if replies.word(state) in states:
            return Stage(stage, client.words(why[:300]) if isinstance(why, str) else "")
    return Stage("waiting")


def path_of(base_url: str, address: str) -> str:
    """The path of an address that the robot itself named. Raises BadReply where it leads to another machine."""
    try:
        whole = urldefrag(urljoin(f"{base_url}/", address)).url
    except ValueError as error:
        raise BadReply("The robot names something that is no address.") from error
    if not whole.startswith(f"{base_url}/"):
        raise BadReply("The robot names an address that is not its own; it is not followed.")
    return whole.removeprefix(base_url).replace("$", "%24")


def follow(client: RobotClient, job: Job, name: str, *, within_s: float, until: tuple[str, ...]) -> Stage:
    """Ask until the job is in one of the stages `until`, at most `within_s`."""
    ends, pause_s, stage = time.monotonic() + within_s, FIRST_PAUSE_S, Stage("unknown")
    while not threads.leaving.is_set():
        try:
            stage = ask(client, job, name)
        except FirmwareError as error:
            stage = Stage("unknown", str(error))
        if stage.name in until or time.monotonic() + pause_s > ends:
            break
        threads.leaving.wait(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    else:
        return Stage("unknown", "robotctl was ended.")
    return stage
