"""Stop. It goes to the wire first and is recorded after; nothing may stand in its way.

A software stop: it asks the robot's firmware to stop, and is no safety-rated function.
"""

import time
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import DatabaseError

from accounts import context, journal
from accounts.journal import iso
from accounts.models import JournalEntry
from firmware import conditions, recorder, spool, stopping, threads
from firmware.client import Observation, RobotClient
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.errors import BadProfile, FirmwareError
from firmware.models import Robot, RobotState, StopStatus
from firmware.spool import Press

ANSWER_WITHIN_S = 3.0
WIRE_WITHIN_S = 2.6  # the rest is for writing it down before answering
GATHER_S = 0.03
WRITE_WAITED_FOR_S = 1.0  # once every robot has been seen to
WRITE_AGAIN_S = 1.0
WRITE_WITHIN_S = 600.0
LATE_AFTER_S = 2.0  # what is written down later than this after the press is marked so
FIRST_PAUSE_S = 0.03
LONGEST_PAUSE_S = 0.25
CLOCK_GRAIN_S = 0.002  # robots tell times in milliseconds

log = structlog.get_logger(__name__)


@dataclass
class StopResult:
    """What became of one robot's stop, so far. Times are epoch seconds."""

    robot: Robot
    began_at: float
    status: str = StopStatus.NOT_CONFIRMED
    attempts: int = 0
    sent_at: float | None = None
    answered_at: float | None = None
    confirmed_at: float | None = None
    detail: str = "No answer yet; trying again."
    seen: list[Observation] = field(default_factory=list)
    latched: bool = False  # the latch is committed
    written: bool = False  # what came of it is, too
    counted: int = 0  # attempts that are in the robot's row

    def shape(self) -> dict[str, Any]:
        """`{"robot","status","sent_at","confirmed_at","elapsed_ms","attempts","detail"}`"""
        return {
            "robot": self.robot.slug,
            "status": self.status,
            "sent_at": iso(_time(self.sent_at)),
            "confirmed_at": iso(_time(self.confirmed_at)),
            "elapsed_ms": round(((self.confirmed_at or time.time()) - self.began_at) * 1000, 1),
            "attempts": self.attempts,
            "detail": self.detail,
        }


def _time(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)


def stop_robots(robots: list[Robot], *, by: str, reason: str = "") -> list[StopResult]:
    """Stop all of them, in parallel. Returns when all are confirmed, at the latest after 3 s; the rest goes on by itself."""
    began_at = time.time()
    results = [StopResult(robot, began_at) for robot in robots]
    slugs = [robot.slug for robot in robots]
    stopping.begin(slugs)
    wire = {threads.start(threads.stops, _stop_one, result): result for result in results}
    press = spool.Press(slugs, by, reason, began_at, context.current())
    book = threads.start(threads.records, _write_down, wire, press, spool.keep(press) if robots else None)
    wait(wire, timeout=WIRE_WITHIN_S)
    answer_by = min(began_at + ANSWER_WITHIN_S, time.time() + WRITE_WAITED_FOR_S)
    while not all(result.written for result in results) and not book.done():
        if time.time() > answer_by:
            break
        time.sleep(0.005)
    for result in results:
        if not result.latched:
            result.detail += " This is not written down yet; until it is, the robot gets no motion from here."
    return results


def _write_down(wire: dict[Future[None], StopResult], press: Press, spooled: spool.Entry | None) -> None:
    """The record beside the wire: the latch first, then what comes of each stop as it comes, a few together."""
    results = list(wire.values())
    try:
        if not _latch_in_the_end(results, press):
            log.error("stop.given_up_recording", robots=press.robots)
            if spooled:
                stopping.committed(press.robots)  # the spool shuts the door now; without one it stays shut
            return
        if spooled:
            spooled.drop()
    finally:
        if spooled:
            spooled.let_go()
    pending, told = set(wire), False
    while pending:
        finished, pending = wait(pending, timeout=GATHER_S)
        due = [wire[future] for future in finished]
        if not told and time.time() > press.began_at + WIRE_WITHIN_S:
            due += [wire[future] for future in pending]  # whoever asked is answered now: so is the record
            told = True
        if due:
            record_results(due)


def _latch_in_the_end(results: list[StopResult], press: Press) -> bool:
    """Try until it is written, for as long as that makes sense."""
    while not latch(results, press):
        if time.time() > press.began_at + WRITE_WITHIN_S or threads.leaving.is_set():
            return False
        threads.leaving.wait(WRITE_AGAIN_S)
    return True


def _stop_one(result: StopResult) -> None:
    """Send, read back, send again after every read, until the robot reads stopped or the time for the answer is over."""
    try:
        client = client_for(result.robot)
    except (BadProfile, Unreadable) as error:
        result.detail = str(error)
        return
    pause_s = FIRST_PAUSE_S
    while True:
        attempt(client, result)
        if result.status == StopStatus.CONFIRMED or time.time() + pause_s > result.began_at + WIRE_WITHIN_S:
            return
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def attempt(client: RobotClient, result: StopResult) -> None:
    """One stop on the wire and one read of what came of it."""
    result.attempts += 1
    tried_at = time.time()
    try:
        reply = client.stop()
    except FirmwareError as error:
        result.sent_at = tried_at if error.may_have_acted else result.sent_at
        result.detail = f"{str(error).rstrip('.')}. Trying again."
        if error.code == "no_reply":
            return  # nothing is to be asked of a robot that has not answered
    else:
        result.sent_at, result.status, result.detail = (
            reply.sent_at,
            StopStatus.SENT,
            "Delivered; not yet read as stopped.",
        )
    result.answered_at = time.time()
    _read_back(client, result)


def _read_back(client: RobotClient, result: StopResult) -> None:
    spec, seen = client.profile, []
    for name in spec.reads_for(spec.stop.stopped):
        try:
            seen.append(client.read(name, urgent=True))
        except FirmwareError as error:
            result.detail += f" It cannot be read: {error}"
            if error.code in ("unreachable", "no_reply"):
                break  # the rest would fare no better
    result.seen = seen
    # What the robot took before it answered says nothing of what it did then, whenever it was read.
    fresh = [one for one in seen if one.began_at >= (result.answered_at or 0.0) - CLOCK_GRAIN_S]
    if not conditions.hold(spec.stop.stopped, conditions.values_of(spec, fresh)):
        return
    if client.motion_unanswered:
        result.detail = "Reads stopped, but an older motion request is still unanswered."
        return
    result.status, result.confirmed_at = StopStatus.CONFIRMED, seen[-1].ended_at
    result.detail = "The robot reads stopped."


def latch(results: list[StopResult], press: Press, *, late: bool = False) -> bool:
    """Latch the robots and journal the request, in one transaction. Whether that was written.

    A stop that is not confirmed yet keeps who asked for it first, and when: that is how long the robot has not stopped.
    `late`: out of the spool; a robot that was told to stop again since keeps that later stop.
    """
    try:
        with recorder.changing(result.robot.pk for result in results) as rows:
            for row in rows.values():
                if not (late and row.stop_at and row.stop_at.timestamp() > press.began_at):
                    _set_latch(row, press)
            for result in results:
                _count(rows[result.robot.pk], result)
            journal.record_all([_requested(slug, press) for slug in press.robots])
    except DatabaseError as error:
        log.warning("stop.not_recorded_yet", robots=press.robots, error=str(error))
        return False
    if not late:
        stopping.committed(press.robots)
    for result in results:
        result.latched = True
    return True


def _requested(slug: str, press: Press) -> JournalEntry:
    """What is written down long after the press stands where it was pressed, and says so: whichever process writes it."""
    late = time.time() - press.began_at > LATE_AFTER_S
    pressed_at = _time(press.began_at) if late else None
    about: journal.About = {"robot": slug, "reason": press.reason, "origin": press.origin, "late_at": pressed_at}
    return journal.entry("stop.requested", slug, **about)


def _set_latch(row: RobotState, press: Press) -> None:
    if not row.stop_latched or row.stop_status == StopStatus.CONFIRMED:
        row.stop_by, row.stop_at, row.stop_reason = press.by, _time(press.began_at), press.reason
        row.stop_attempts = 0
    row.stop_latched, row.stop_status = True, StopStatus.NOT_CONFIRMED
    row.stop_sent_at = row.stop_answered_at = row.stop_confirmed_at = row.stop_left_at = None
    row.resetting_until = None  # a reset under way does not undo this stop
    row.quiet_until = None  # nor does a register write keep the robot from being read


def record_results(results: list[StopResult]) -> None:
    """Write what came of stops: one transaction. A row that is confirmed already stays so."""
    try:
        with recorder.changing(result.robot.pk for result in results) as rows:
            in_motion = recorder.motion_unanswered(result.robot.pk for result in results if result.confirmed_at)
            told: list[JournalEntry] = []
            for result in results:
                if result.robot.pk in in_motion:
                    result.status, result.confirmed_at = StopStatus.SENT, None
                    result.detail = "Reads stopped, but an older motion request is still unanswered."
                told += _record_one(rows[result.robot.pk], result)
            journal.record_all(told)
    except DatabaseError:
        log.exception("stop.not_recorded", robots=[result.robot.slug for result in results])
    for result in results:
        result.written = True


def _record_one(row: RobotState, result: StopResult) -> list[JournalEntry]:
    """One result onto one row. Returns what is to be journalled."""
    if not row.stop_latched or row.stop_status == StopStatus.CONFIRMED:
        return []
    if row.stop_at is not None and result.began_at < row.stop_at.timestamp() - 0.001:
        return []  # of an earlier press; the later one has its own results
    _count(row, result)
    row.stop_sent_at = _time(result.sent_at) or row.stop_sent_at
    row.stop_answered_at = _time(result.answered_at) or row.stop_answered_at
    told = []
    for seen in result.seen:
        told += recorder.apply(row, recorder.Contact.seen(row.robot_id, seen))
    confirmed_at = _time(result.confirmed_at)
    if row.stop_status == StopStatus.CONFIRMED:
        return told  # the reading itself has just confirmed it
    if confirmed_at is not None:
        return [*told, recorder.confirm_stop(row, confirmed_at)]
    first, changed = result.latched and not result.written, row.stop_status != result.status
    row.stop_status = result.status
    if first or changed:  # every press has its row; a standing order when something is new, not with every try
        outcome = journal.Outcome.UNKNOWN if result.status == StopStatus.SENT else journal.Outcome.FAILED
        slug, data = row.robot.slug, {"attempts": row.stop_attempts}
        told.append(
            journal.entry(f"stop.{result.status}", slug, robot=slug, outcome=outcome, reason=result.detail, data=data)
        )
    return told


def _count(row: RobotState, result: StopResult) -> None:
    """Add the attempts that were made since this result was last written."""
    attempts = result.attempts
    row.stop_attempts += attempts - result.counted
    result.counted = attempts
