"""Talks to one robot in its own language. `_request` is the only place that touches the network; verbs stand above it."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from urllib3.util.retry import Retry

from firmware import replies
from firmware import stopping as stopping_now
from firmware.drainer import OnEnd
from firmware.errors import BadProfile, BadReply, Busy, FirmwareError, Rejected
from firmware.profile_language import PLACEHOLDER, Action, Profile
from firmware.replies import fill as fill
from firmware.slots import ACTION_RETRY, POLL_RETRY, READ_RETRY, Exchange, Slots
from firmware.transport import Answer, Ready, Transport


@dataclass(frozen=True)
class Observation:
    """What one read said. `began_at` (epoch s) is the age that its values are given: never younger than they are.

    It is when the read began, or when the robot took the values, if its profile tells where it says so and that is earlier.
    """

    read: str
    values: dict[str, Any]
    began_at: float
    ended_at: float


@dataclass(frozen=True)
class Reply:
    """What a robot answered to an action. A reply is not a result."""

    status: int
    message: str
    sent_at: float
    ended_at: float


class RobotClient:
    """One robot's client. Shared by the threads of a process; one request at a time, stop beside it. Raises BadProfile."""

    def __init__(self, *, slug: str, base_url: str, profile: Profile, credentials: dict[str, str]) -> None:
        self.slug, self.profile = slug, profile
        self._credentials = credentials
        try:
            self._transport = Transport(base_url.rstrip("/"), profile.transport)
        except ValueError as error:
            raise BadProfile(self.slug, "base_url", str(error)) from error
        self._slots = Slots(profile.transport.max_unanswered)
        self._turn = threading.Lock()
        self._stop_asked_at = -math.inf  # monotonic
        self._reads = {
            name: self._prepare("GET", read.path, read.token or profile.auth.read_token)
            for name, read in profile.reads.items()
        }
        self._stop = self._prepare_action(profile.stop, {})

    # --- verbs ------------------------------------------------------------------------------------------------------
    def read(self, name: str, *, polling: bool = False, urgent: bool = False) -> Observation:
        """One read of the profile; without values when the robot says that there is nothing to read now. Raises FirmwareError.

        `polling`: the next tick is the retry. `urgent`: a stop was just answered, and its read-back queues for nothing.
        """
        read = self.profile.reads[name]
        retry = POLL_RETRY if polling or urgent else READ_RETRY
        answer = self._request(
            self._reads[name],
            what=f"read {name}",
            timeout_s=read.timeout_s,
            retry=retry,
            reading=not urgent,
            skip_turn=urgent,
        )
        if answer.status in read.absent:
            return Observation(name, {}, answer.began_at, answer.ended_at)
        reply = self._parse(answer, must_be_json=True)
        taken_at = replies.taken_at(read, reply, answer.began_at)
        found = ((field, replies.extract(spec, name, reply)) for field, spec in self.profile.fields_of(name))
        values = {} if taken_at is None else {field: value for field, value in found if value is not None}
        return Observation(name, values, answer.began_at if taken_at is None else taken_at, answer.ended_at)

    def command(self, name: str, params: dict[str, Any], *, send_by: float, on_late: OnEnd | None = None) -> Reply:
        """Send a command once. `send_by` (monotonic): later it is not sent any more. Raises FirmwareError.

        `on_late` is called, on the drainer's thread, when the robot answers after NoReply was raised, or hangs up.
        """
        command = self.profile.commands[name]
        prepared = self._prepare_action(command, params)
        motion = command.kind == "motion"
        return self._act(prepared, command, what=f"command {name}", motion=motion, send_by=send_by, on_late=on_late)

    def reset(self) -> Reply:
        """Ask the robot to leave its stop."""
        assert self.profile.reset is not None
        return self._act(self._prepare_action(self.profile.reset, {}), self.profile.reset, what="reset")

    def stop(self) -> Reply:
        """Send the stop at once: it waits for no turn, and one slot is always its own."""
        self._stop_asked_at = time.monotonic()
        return self._act(self._stop, self.profile.stop, what="stop", stopping=True)

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
        send_by: float | None = None,
        on_late: OnEnd | None = None,
    ) -> Reply:
        answer = self._request(
            prepared,
            what=what,
            timeout_s=action.timeout_s,
            retry=ACTION_RETRY,
            motion=motion,
            stopping=stopping,
            send_by=send_by,
            on_late=on_late,
        )
        reply = self._parse(answer, must_be_json=False)
        return Reply(answer.status, self._message(reply), answer.began_at, answer.ended_at)

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
    ) -> Answer:
        """The one place that touches the network."""
        needs = self.profile.transport
        timeout_s = timeout_s or needs.timeout_s
        if prepared.size > needs.max_request_bytes:
            raise FirmwareError(f"The request is {prepared.size} bytes; this robot reads {needs.max_request_bytes}.")
        asked_at = time.monotonic()

        def check() -> None:
            if send_by is not None and time.monotonic() > send_by:
                raise Busy("The robot was busy until the command's deadline; nothing was sent.")
            if motion and (self._stop_asked_at >= asked_at or stopping_now.is_pending(self.slug)):
                raise Busy("The robot was told to stop while the command waited; nothing was sent.")
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

    def _prepare(self, method: str, path: str, token: str | None, body: bytes | None = None) -> Ready:
        auth = self.profile.auth
        secret = self._credentials.get(token or "", "")
        headers = {auth.header: f"{auth.scheme} {secret}".strip()} if secret else {}
        try:
            return self._transport.prepare(method, path, headers, body)
        except ValueError:
            reason = "the robot's credential holds characters that an HTTP header cannot carry"
            raise BadProfile(self.slug, f"credentials.{token}", reason) from None

    def _prepare_action(self, action: Action, params: dict[str, Any]) -> Ready:
        body = None if action.body is None else msgspec.json.encode(fill(action.body, params))
        path = PLACEHOLDER.sub(lambda match: replies.path_part(params.get(match[1])), action.path)
        return self._prepare(action.method, path, action.token, body)

    # --- what it said -----------------------------------------------------------------------------------------------
    def _parse(self, answer: Answer, *, must_be_json: bool) -> Any:
        """The reply's JSON, after the status code has been believed first. Raises Rejected, BadReply."""
        try:
            reply = msgspec.json.decode(answer.body) if answer.body else None
            readable = answer.body != b""
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or brackets without end
            reply, readable = None, False
        if answer.status in (502, 504):  # a gateway speaks; what the robot behind it did is unknown
            words = f"A gateway before the robot answered {answer.status}."
            raise BadReply(words, status=answer.status, body=answer.body)
        if answer.status >= 400:
            text = "" if "html" in answer.content_type else answer.body[:300].decode(errors="replace")
            words = self._message(reply) or self._printable(text) or f"The robot answered {answer.status}."
            raise Rejected(words, status=answer.status, body=answer.body)
        if not 200 <= answer.status < 300:
            words = f"The robot answered {answer.status}; redirects are not followed."
            raise BadReply(words, status=answer.status, body=answer.body)
        promised = "html" in answer.content_type or "json" in answer.content_type
        if not readable and (must_be_json or (answer.body and promised)):
            raise BadReply("The reply is not JSON.", status=answer.status, body=answer.body)
        if replies.find(self.profile.replies.refused, reply) is True:
            raise Rejected(self._message(reply) or "The robot refused.", status=answer.status, body=answer.body)
        return reply

    def _message(self, reply: Any) -> str:
        found = replies.find(self.profile.replies.message, reply) if isinstance(reply, dict) else None
        return self._printable(found[:300]) if isinstance(found, str) else ""

    def _printable(self, text: str) -> str:
        """A robot's words, fit for a log and a database; one that repeats our credentials does not get them there."""
        for secret in filter(None, self._credentials.values()):
            text = text.replace(secret, "…")
        return replies.printable(text)
