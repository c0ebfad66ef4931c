"""The poll loop: reads every robot of its share on time, and hands what it read on in batches.

Three threads: the loop's own keeps the schedule, a writer writes batches, a keeper holds the share and looks at what only time
changes. A robot's reads run one after the other on a pool thread; a robot that hangs holds up nobody else.
"""

import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog
from django.db import DatabaseError, connections
from django.utils import timezone

from firmware import (
    batches,
    jog,
    leases,
    presence,
    profile,
    quiet,
    reconciliation,
    recorder,
    sequences,
    setup,
    spooling,
    stop,
    threads,
)
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.errors import BadProfile, Busy, FirmwareError
from firmware.models import Robot, RobotState, StopStatus
from firmware.moments import is_ahead
from firmware.recorder import Contact
from firmware.schedule import Schedule

READERS = 64
BATCH_LIMIT = 500
GATHER_S = 0.04
KEEP_EVERY_S = 2.0
STEP_ASIDE_EVERY_S = 0.25  # shorter than quiet.NOTICED_WITHIN_S
QUEUE_LIMIT = 20_000
BEHIND_AFTER_S = 1.0
STANDING_ORDER_AFTER = timedelta(seconds=stop.ANSWER_WITHIN_S)

log = structlog.get_logger(__name__)


class PollLoop:
    """Reads the robots of this process's share until told to stop."""

    def __init__(self, hand_on: Callable[[list[Contact]], object] = lambda _: None) -> None:
        """`hand_on`: who else wants what was read, after it is written; floors above hand it in."""
        self._hand_on = hand_on
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.schedules: dict[int, Schedule] = {}
        self.standing: set[int] = set()  # robots whose stop is not confirmed
        self.quiet: set[int] = set()  # robots that answer nobody for some seconds
        self._stopping_now: set[int] = set()
        self._lock = threading.Lock()
        self._contacts: queue.Queue[Contact | None] = queue.Queue(QUEUE_LIMIT)
        self._over = threading.Event()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._database_up = True
        self._writing_since: float | None = None
        self._behind = False  # what was read is not written yet: time says nothing about modes
        self.failed = False

    # --- life -------------------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Poll until `end` is called; then finish what is under way and give the share back."""
        alive = presence.Presence(self.owner)
        writer = threading.Thread(target=self._vital, args=[self._write_batches], name="writer", daemon=True)
        keeper = threading.Thread(target=self._vital, args=[self._keep_share], name="keeper", daemon=True)
        writer.start()
        keeper.start()
        while not self._over.is_set():
            self._over.wait(self._start_due())
        self._readers.shutdown(wait=True)
        self._contacts.put(None)
        writer.join(timeout=5)
        keeper.join(timeout=5)
        self._with_database(lambda: leases.release(self.owner, timezone.now()))
        alive.end()

    def end(self) -> None:
        self._over.set()

    def _vital(self, work: Callable[[], None]) -> None:
        """Without this thread the loop is no loop: if it ends before its time, the process ends, and is started again."""
        try:
            work()
        finally:
            connections.close_all()
            if not self._over.is_set():
                self.failed = True
                self._over.set()

    # --- schedule ---------------------------------------------------------------------------------------------------
    def _start_due(self) -> float:
        """Start every robot that is due; how long until the next one is (s)."""
        now = time.monotonic()
        nearest = now + 0.25
        with self._lock:
            for schedule in self.schedules.values():
                if schedule.busy or schedule.robot.pk in self.quiet - self.standing:  # a stop waits for nobody
                    continue
                names = schedule.take_due(now)
                if names:
                    schedule.busy = True
                    self._readers.submit(self._read, schedule, names).add_done_callback(threads.complain)
                else:
                    nearest = min(nearest, schedule.next_at())
        return max(0.002, nearest - time.monotonic())

    def _read(self, schedule: Schedule, names: list[str]) -> None:
        try:
            for name in names:
                contact = self._read_one(schedule, name)
                if contact is None or (contact.error is not None and contact.error.code in ("unreachable", "no_reply")):
                    self._put(contact)
                    break  # the rest would fare no better
                self._put(contact)
        finally:
            schedule.busy = False

    def _read_one(self, schedule: Schedule, name: str) -> Contact | None:
        """None: nothing was sent, so nothing was learnt."""
        at = timezone.now()
        try:
            return Contact.seen(schedule.robot.pk, schedule.client.read(name, polling=True))
        except Busy:
            return None
        except FirmwareError as error:
            return Contact.failed(schedule.robot.pk, at, name, error)

    def _put(self, contact: Contact | None) -> None:
        if contact is not None and not self._contacts.full():
            self._contacts.put(contact)

    # --- batches ----------------------------------------------------------------------------------------------------
    def _write_batches(self) -> None:
        while True:
            first = self._contacts.get()
            if first is None:
                return
            batch, until = [first], time.monotonic() + GATHER_S
            while len(batch) < BATCH_LIMIT and (left := until - time.monotonic()) > 0:
                try:
                    contact = self._contacts.get(timeout=left)
                except queue.Empty:
                    break
                if contact is None:
                    self._contacts.put(None)
                    break
                batch.append(contact)
            self._writing_since = since = time.monotonic()
            self._with_database(lambda batch=batch: self._record(batch))  # type: ignore[misc]
            self._with_database(lambda batch=batch: self._pass_on(batch))  # type: ignore[misc]
            self._writing_since = None
            waited = time.monotonic() - since > BEHIND_AFTER_S
            self._behind = (self._behind or waited) and not self._contacts.empty()

    def _pass_on(self, batch: list[Contact]) -> None:
        """Whoever else wants it: what they make of it ends no polling."""
        try:
            self._hand_on(batch)
        except DatabaseError:
            raise
        except Exception:
            log.exception("poll.hand_on_crashed")

    def _record(self, batch: list[Contact]) -> None:
        rows = batches.record(batch)
        with self._lock:
            for row in rows:
                self._follow(row)
        self._give_standing_orders(row.robot_id for row in rows)
        _go_on_with_sequences(rows)
        for row in rows:
            if (schedule := self.schedules.get(row.robot_id)) is not None:
                setup.make_due(schedule.robot, schedule.client, row)

    def _follow(self, row: RobotState) -> None:
        stands = _stop_stands(row)
        (self.standing.add if stands else self.standing.discard)(row.robot_id)
        if (schedule := self.schedules.get(row.robot_id)) is not None:
            schedule.hold_back(row, stop_stands=stands)

    def _with_database(self, work: Callable[[], object]) -> None:
        """Do it; when the database is away say so once, and go on: the next read brings the state again."""
        try:
            work()
        except DatabaseError as error:
            if self._database_up:
                log.exception("poll.database_lost", error=str(error))
            self._database_up = False
            connections.close_all()
        else:
            if not self._database_up:
                log.info("poll.database_back")
            self._database_up = True

    # --- stop's standing orders ---------------------------------------------------------------------------------------
    def _give_standing_orders(self, robot_ids: object) -> None:
        """An unconfirmed stop is sent again after every read until the robot reads stopped or the latch is reset."""
        for robot_id in list(robot_ids):  # type: ignore[call-overload]
            with self._lock:
                schedule = self.schedules.get(robot_id)
                if schedule is None or robot_id not in self.standing or robot_id in self._stopping_now:
                    continue
                self._stopping_now.add(robot_id)
            threads.start(threads.stops, self._stop_again, schedule)

    def _stop_again(self, schedule: Schedule) -> None:
        try:
            row = RobotState.objects.get(robot=schedule.robot)
            if _stop_stands(row):
                result = stop.StopResult(schedule.robot, time.time())
                stop.attempt(schedule.client, result)
                stop.record_results([result])
        finally:
            with self._lock:
                self._stopping_now.discard(schedule.robot.pk)

    # --- share ------------------------------------------------------------------------------------------------------
    def _keep_share(self) -> None:
        keep_at = 0.0
        while not self._over.is_set():
            if time.monotonic() >= keep_at:
                self._with_database(self._keep)
                keep_at = time.monotonic() + KEEP_EVERY_S
            self._with_database(self._step_aside)
            self._over.wait(STEP_ASIDE_EVERY_S)

    def _step_aside(self) -> None:
        self.quiet = quiet.robots()
        jog.find_lost(self.schedules)

    def _keep(self) -> None:
        spooling.bring_in()
        mine = leases.hold_share(self.owner, timezone.now())
        robots = {robot.pk: robot for robot in Robot.objects.filter(pk__in=mine)}
        with self._lock:
            for gone in self.schedules.keys() - robots.keys():
                del self.schedules[gone]
        for robot in robots.values():
            self._wire(robot)
        rows = list(RobotState.objects.filter(robot_id__in=robots))
        with self._lock:
            self.standing &= robots.keys()
            for row in rows:
                self._follow(row)
            standing = set(self.standing)
        self._give_standing_orders(standing)
        if not self._is_behind():
            recorder.look_at_modes(robots)
        reconciliation.take_over(robots)
        reconciliation.end_unapproved(robots)
        _go_on_with_sequences(rows)

    def _is_behind(self) -> bool:
        """Whether the database was waited for, and what was read meanwhile is still to be written."""
        since = self._writing_since
        return self._behind or (since is not None and time.monotonic() - since > BEHIND_AFTER_S)

    def _wire(self, robot: Robot) -> None:
        """Give the robot a schedule, or a new one when its wiring has changed."""
        known, wiring = self.schedules.get(robot.pk), robot.wiring
        if known is not None and known.wiring == wiring:
            known.robot = robot
            return
        try:
            client = client_for(robot)
        except (BadProfile, Unreadable) as error:
            if known is not None or not self._complained(robot):
                log.warning("poll.robot_unusable", robot=robot.slug, error=str(error))
            read = profile.load_or_unusable(robot.profile).state_read
            self._put(Contact.failed(robot.pk, timezone.now(), read, FirmwareError(str(error))))
            return
        with self._lock:
            self.schedules[robot.pk] = Schedule(robot, client, wiring)

    def _complained(self, robot: Robot) -> bool:
        return RobotState.objects.filter(robot=robot, last_error_code=FirmwareError.code).exists()


def _go_on_with_sequences(rows: list[RobotState]) -> None:
    if robot_ids := [row.robot_id for row in rows if row.sequence is not None]:
        threads.start(threads.commands, sequences.go_on, robot_ids)


def _stop_stands(row: RobotState) -> bool:
    """Whether the stop of this robot is ours to repeat: latched, unconfirmed, and the one who asked has had his answer."""
    now = timezone.now()
    waited = row.stop_at is not None and (is_ahead(row.stop_at, now) or now - row.stop_at > STANDING_ORDER_AFTER)
    resetting = row.resetting_until is not None and row.resetting_until > now
    return row.stop_latched and row.stop_status != StopStatus.CONFIRMED and waited and not resetting
