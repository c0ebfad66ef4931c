"""Talks to one robot in its own language. `_request` is the only place that touches the network; verbs stand above it."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from urllib3.util.retry import Retry

from firmware import parameters, replies
from firmware import stopping as stopping_now
from firmware.answers import Answers
from firmware.drainer import OnEnd
from firmware.errors import BadProfile, BadReply, Busy, FirmwareError, Frozen, NotAllowed, Withdrawn
from firmware.language.actions import Action
from firmware.language.equipment import Fetch
from firmware.language.kind import Profile
from firmware.observation import Observation as Observation
from firmware.observation import Reply as Reply
from firmware.observation import Unless as Unless
from firmware.replies import fill as fill
from firmware.signing import Signer
from firmware.slots import ACTION_RETRY, ONCE, READ_RETRY, Exchange, Slots
from firmware.transport import Answer, Ready, Transport


class RobotClient:
    """One robot's client. Shared by the threads of a process; one request at a time, stop beside it. Raises BadProfile."""

    def __init__(self, *, slug: str, base_url: str, profile: Profile, credentials: dict[str, str]) -> None:
        self.slug, self.profile, self.base_url = slug, profile, base_url.rstrip("/")
        try:
            self._transport = Transport(self.base_url, profile.transport)
        except ValueError as error:
            raise BadProfile(self.slug, "base_url", str(error)) from error
        self._credentials = credentials
        self._signer = Signer(slug, profile, credentials, self._transport)
        self._answers = Answers(profile.replies, list(credentials.values()))
        self._slots = Slots(profile.transport.max_unanswered)
        self._turn = threading.Lock()
        self._stop_asked_at = -math.inf  # monotonic
        self._beats: dict[str, tuple[Any, float, float]] = {}  # read → beat, since when it stands, when it was read
        self._reads = {
            name: self._signer.request(read.method, read.path, read.token or profile.auth.read_token, read.body)
            for name, read in profile.reads.items()
        }
        self._stop = self._signer.action(profile.stop, {})

    # --- verbs ------------------------------------------------------------------------------------------------------
    def read(self, name: str, *, polling: bool = False, urgent: bool = False) -> Observation:
        """One read of the profile; without values when the robot says that there is nothing to read now. Raises FirmwareError.

        `polling`: the next tick is the retry. `urgent`: a stop was just answered, and its read-back queues for nothing.
        """
        read = self.profile.reads[name]
        retry = ONCE if polling or urgent else READ_RETRY
        answer = self._request(
            self._reads[name],
            what=f"read {name}",
            timeout_s=read.timeout_s,
            retry=retry,
            reading=not urgent,
            skip_turn=urgent,
        )
        if answer.status in read.absent:
            return Observation(name, {}, answer.began_at, answer.ended_at, answer.ended_at - answer.began_at)
        try:
            reply = self._answers.told(read, answer)
        except NotAllowed as error:
            self._name_what_is_missing(error, read.token or self.profile.auth.read_token)
            raise
        self._check_alive(name, reply, answer.began_at, steady=polling)
        taken_at = replies.taken_at(read.taken_at, read.clock, reply, answer.began_at)
        found = ((field, replies.extract(spec, name, reply)) for field, spec in self.profile.fields_of(name))
        values = {} if taken_at is None else {field: self._shown(value) for field, value in found if value is not None}
        return Observation(
            name,
            values,
            answer.began_at if taken_at is None else taken_at,
            answer.ended_at,
            answer.ended_at - answer.began_at,
            replies.clock_offset(read.clock, reply, answer.began_at, answer.ended_at),
            beat=None if read.alive is None else (replies.find(read.alive, reply),),
            said=reply,
        )

    def fetch(self, fetch: Fetch, params: dict[str, Any] | None = None) -> tuple[Any, float] | None:
        """A part of its equipment: the reply, and when the robot took it (epoch s). None: it has none. Raises FirmwareError."""
        token = fetch.token or self.profile.auth.read_token
        ready = self._signer.request(fetch.method, fetch.path, token, fetch.body, params=params)
        answer = self._request(ready, what=f"fetch {fetch.path}", timeout_s=fetch.timeout_s, retry=ONCE, reading=True)
        if answer.status in fetch.absent:
            return None
        try:
            reply = self._answers.told(fetch, answer)
        except NotAllowed as error:
            self._name_what_is_missing(error, token)
            raise
        at = replies.taken_at(fetch.taken_at, fetch.clock, reply, answer.began_at)
        if at is None:
            raise BadReply("The reply does not say when its values were taken.", status=answer.status)
        return reply, at

    def command(
        self,
        name: str,
        params: dict[str, Any],
        *,
        send_by: float,
        on_late: OnEnd | None = None,
        unless: Unless | None = None,
    ) -> Reply:
        """Send a command of the profile once; see `act`."""
        command = self.profile.commands[name]
        sent = parameters.sent(command.params, params)
        sent = parameters.held(command.hold, sent) if command.hold else sent
        motion = command.kind == "motion"
        what = f"command {name}"
        again = command.kind in ("motion", "stop")
        return self.act(
            command, sent, what=what, motion=motion, again=again, send_by=send_by, on_late=on_late, unless=unless
        )

    def act(
        self,
        action: Action,
        params: dict[str, Any],
        *,
        what: str,
        motion: bool = False,
        again: bool = False,
        send_by: float | None = None,
        on_late: OnEnd | None = None,
        unless: Unless | None = None,
    ) -> Reply:
        """Make the robot do something, once. `send_by` (monotonic): later it is not sent any more. Raises FirmwareError.

        `again`: when it cannot be connected to, so that no byte has left, that is tried once more.
        `unless` is asked right before the write; if it objects (code, words), nothing is sent: Withdrawn. `on_late` is called, on the
        drainer's thread, when the robot answers after NoReply was raised, or hangs up.
        """
        ready = self._signer.action(action, params)
        return self._act(
            ready, action, what=what, motion=motion, again=again, send_by=send_by, on_late=on_late, unless=unless
        )

    def reset(self) -> Reply:
        """Ask the robot to leave its stop."""
        assert self.profile.reset is not None
        return self.act(self.profile.reset, {}, what="reset")

    def stop(self) -> Reply:
        """Send the stop at once: it waits for no turn, and one slot is always its own."""
        self._stop_asked_at = time.monotonic()
        return self._act(self._stop, self.profile.stop, what="stop", stopping=True, again=True)

    def words(self, text: str) -> str:
        """A robot's words, fit for a log and a database."""
        return self._answers.printable(text)

    @property
    def motion_unanswered(self) -> bool:
        """Whether a motion request is out that the robot may still obey."""
        return self._slots.motion > 0

    def close(self) -> None:
        self._transport.close()

    # --- the wire ---------------------------------------------------------------------------------------------------
    def _act(
        self,
        prepared: Ready,
        action: Action,
        *,
        what: str,
        motion: bool = False,
        stopping: bool = False,
        again: bool = False,
        send_by: float | None = None,
        on_late: OnEnd | None = None,
        unless: Unless | None = None,
    ) -> Reply:
        answer = self._request(
            prepared,
            what=what,
            timeout_s=action.timeout_s,
            retry=ACTION_RETRY if again else ONCE,
            motion=motion,
            stopping=stopping,
            send_by=send_by,
            on_late=on_late,
            unless=unless,
        )
        try:
            reply = self._answers.parse(answer, must_be_json=False, in_doubt=action.in_doubt, moves=motion)
        except NotAllowed as error:
            self._name_what_is_missing(error, action.token)
            raise
        return Reply(
            answer.status, self._answers.message(reply), answer.began_at, answer.ended_at, reply, answer.location
        )

    def _name_what_is_missing(self, error: NotAllowed, token: str | None) -> None:
        """Raises it anew, with the name of the credential that this robot was never given, if that is why."""
        if token is not None and not self._credentials.get(token):
            words = f"{str(error).rstrip('.')}. Its credential {token!r} is not set."
            raise NotAllowed(words, status=error.status, body=error.body, in_doubt=error.may_have_acted) from error

    def _check_alive(self, name: str, reply: Any, began_at: float, *, steady: bool) -> None:
        """Raises Frozen while what changes with every fresh measurement stands still.

        Whoever does not read steadily cannot tell a beat that came round again from one that stood still.
        """
        read = self.profile.reads[name]
        if read.alive is None:
            return
        beat = replies.find(read.alive, reply)  # one that is missing tells no more than one that stands still
        known, since, seen_at = self._beats.get(name, (None, began_at, began_at))
        since = min(since, began_at)  # the clock may have been set back
        followed = steady or began_at - seen_at <= read.frozen_after_s / 2
        stands = name in self._beats and beat == known and followed
        self._beats[name] = (beat, since if stands else began_at, began_at)
        if stands and began_at - since > read.frozen_after_s:
            what = "has been missing" if beat is None else "has not changed"
            raise Frozen(f"Its values are frozen: {read.alive} {what} for {began_at - since:.0f} s.", since=since)

    def _shown(self, value: Any) -> Any:
        """A value as people may see it: a text that repeats a credential does not."""
        return self._answers.printable(value) if isinstance(value, str) else value

    def _request(
        self,
        prepared: Ready,
        *,
        what: str,
        timeout_s: float | None,
        retry: Retry,
        reading: bool = False,
        motion: bool = False,
        stopping: bool = False,
        skip_turn: bool = False,
        send_by: float | None = None,
        on_late: OnEnd | None = None,
        unless: Unless | None = None,
    ) -> Answer:
        """The one place that touches the network."""
        needs, asked_at = self.profile.transport, time.monotonic()
        timeout_s = timeout_s or needs.timeout_s
        if prepared.size > needs.max_request_bytes:
            raise FirmwareError(f"The request is {prepared.size} bytes; this robot reads {needs.max_request_bytes}.")

        def check() -> None:
            if send_by is not None and time.monotonic() > send_by:
                raise Busy("The robot was busy until the command's deadline; nothing was sent.")
            if motion and (self._stop_asked_at >= asked_at or stopping_now.is_pending(self.slug)):
                raise Busy("The robot was told to stop while the command waited; nothing was sent.")
            if unless is not None and (objection := unless()) is not None:
                raise Withdrawn(*objection)
            if reading:
                self._slots.check_reads()

        with self._my_turn(timeout_s, stopping or skip_turn):
            check()
            self._slots.take(stopping=stopping, motion=motion)
            deadline = time.monotonic() + timeout_s
            exchange = Exchange(what, deadline, needs.drain, needs.max_reply_bytes, self._slots, motion, check, on_late)
            try:
                return self._transport.send(prepared, exchange, retry)
            finally:
                if not exchange.drained:
                    self._slots.give_back(motion=motion)

    @contextmanager
    def _my_turn(self, timeout_s: float, at_once: bool) -> Iterator[None]:
        """One request in flight per robot; stop does not queue."""
        if at_once:
            yield
            return
        if not self._turn.acquire(timeout=timeout_s):
            raise Busy("The robot is still busy with an earlier request; nothing was sent.")
        try:
            yield
        finally:
            self._turn.release()
