"""A probe of a robot that is registered, with the credentials that are kept for it; each is in the journal."""

from typing import Any

from accounts import journal
from firmware import quiet
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.errors import BadProfile
from firmware.models import Robot
from firmware.probing.asking import Target
from firmware.probing.probe import probe
from firmware.probing.words import Report


def not_now(robot: Robot) -> str:
    """Why the robot must not be asked; empty when it may."""
    if robot.retired_at is not None:
        return "This robot is retired: another machine may have its address, and its credentials are not for that one."
    if robot.pk in quiet.robots():
        return "The robot works at a command and may answer nobody. Probe it again in a few seconds."
    return ""


def look(robot: Robot) -> tuple[Report | None, str]:
    """(what was found, why nothing could be tried)"""
    try:
        client = client_for(robot)
        target = Target(robot.base_url, robot.profile, robot.credentials, robot.settings, client)
    except (BadProfile, Unreadable) as error:
        record(robot.slug, robot.slug, {"profile": robot.profile}, ok=False)
        return None, str(error)
    report = probe(target)
    record(robot.slug, robot.slug, told(report), ok=report.ok)
    return report, ""


def told(report: Report) -> dict[str, Any]:
    return {"url": report.url, "profile": report.profile, "machine_state": report.machine_state, "hung": report.hung}


def record(target: str, robot: str, data: dict[str, Any], *, ok: bool) -> None:
    outcome = journal.Outcome.OK if ok else journal.Outcome.FAILED
    journal.record("robot.probed", target, robot=robot, outcome=outcome, data=data)
