"""Talks to one robot in its own language. `_request` is the only place that touches the network; verbs stand above it."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jmespath
import msgspec
import requests
from jmespath.exceptions import JMESPathError
from urllib3.util.retry import Retry

from firmware.errors import BadReply, Busy, FirmwareError, Rejected
from firmware.profile import PLACEHOLDER, Action, Field, Profile, Read
from firmware.slots import Slots
from firmware.transport import ACTION_RETRY, POLL_RETRY, READ_RETRY, Answer, Exchange, Transport


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
    """One robot's client. Shared by the threads of a process; one request at a time, stop beside it."""

    def __init__(self, *, slug: str, base_url: str, profile: Profile, credentials: dict[str, str]) -> None:
        self.slug, self.profile = slug, profile
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._transport = Transport(profile.transport)
        self._slots = Slots(profile.transport.max_unanswered)
        self._turn = threading.Lock()
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
        taken_at = _taken_at(read, reply, answer.began_at)
        found = ((field, extract(spec, name, reply)) for field, spec in self.profile.fields_of(name))
        values = {} if taken_at is None else {field: value for field, value in found if value is not None}
        return Observation(name, values, taken_at or answer.began_at, answer.ended_at)

    def command(self, name: str, params: dict[str, Any], *, send_by: float) -> Reply:
        """Send a command once. `send_by` (monotonic): later it is not sent any more. Raises FirmwareError."""
        command = self.profile.commands[name]
        prepared = self._prepare_action(command, params)
        return self._act(prepared, command, what=f"command {name}", motion=command.kind == "motion", send_by=send_by)

    def reset(self) -> Reply:
        """Ask the robot to leave its stop."""
        assert self.profile.reset is not None
        return self._act(self._prepare_action(self.profile.reset, {}), self.profile.reset, what="reset")

    def stop(self) -> Reply:
        """Send the stop at once: it waits for no turn, and one slot is always its own."""
        return self._act(self._stop, self.profile.stop, what="stop", stopping=True)

    @property
    def motion_unanswered(self) -> bool:
        """Whether a motion request is out that the robot may still obey."""
        return self._slots.unanswered_motion > 0

    def close(self) -> None:
        self._transport.close()

    # --- the wire ---------------------------------------------------------------------------------------------------
    def _act(
        self,
        prepared: requests.PreparedRequest,
        action: Action,
        *,
        what: str,
        motion: bool = False,
        stopping: bool = False,
        send_by: float | None = None,
    ) -> Reply:
        answer = self._request(
            prepared,
            what=what,
            timeout_s=action.timeout_s,
            retry=ACTION_RETRY,
            motion=motion,
            stopping=stopping,
            send_by=send_by,
        )
        reply = self._parse(answer, must_be_json=False)
        return Reply(answer.status, self._message(reply), answer.began_at, answer.ended_at)

    def _request(
        self,
        prepared: requests.PreparedRequest,
        *,
        what: str,
        timeout_s: float | None,
        retry: Retry,
        reading: bool = False,
        motion: bool = False,
        stopping: bool = False,
        skip_turn: bool = False,
        send_by: float | None = None,
    ) -> Answer:
        """The one place that touches the network."""
        timeout_s = timeout_s or self.profile.transport.timeout_s
        size = (
            len(prepared.body or b"")
            + sum(len(k) + len(v) + 4 for k, v in prepared.headers.items())
            + len(prepared.url or "")
            + 64
        )
        if size > self.profile.transport.max_request_bytes:
            raise FirmwareError(
                f"The request is {size} bytes; this robot reads {self.profile.transport.max_request_bytes}."
            )
        with self._my_turn(timeout_s, stopping or skip_turn):
            if send_by is not None and time.monotonic() > send_by:
                raise Busy("The robot was busy until the command's deadline; nothing was sent.")
            self._slots.take(reading=reading, stopping=stopping)
            exchange = Exchange(
                what,
                deadline=time.monotonic() + timeout_s,
                drain=self.profile.transport.drain,
                on_drained=lambda: self._slots.keep_waiting(id(exchange), motion),
                on_late_end=lambda _: self._slots.ended(id(exchange), motion),
            )
            try:
                return self._transport.send(prepared, exchange, retry)
            finally:
                if not exchange.drained:
                    self._slots.give_back()

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

    def _prepare(
        self, method: str, path: str, token: str | None, body: bytes | None = None
    ) -> requests.PreparedRequest:
        auth = self.profile.auth
        secret = self._credentials.get(token or "", "")
        headers = {auth.header: f"{auth.scheme} {secret}".strip()} if secret else {}
        return self._transport.prepare(method, self._base_url + path, headers, body)

    def _prepare_action(self, action: Action, params: dict[str, Any]) -> requests.PreparedRequest:
        body = None if action.body is None else msgspec.json.encode(fill(action.body, params))
        path = PLACEHOLDER.sub(lambda match: quote(str(params[match[1]]), safe=""), action.path)
        return self._prepare(action.method, path, action.token, body)

    # --- what it said -----------------------------------------------------------------------------------------------
    def _parse(self, answer: Answer, *, must_be_json: bool) -> Any:
        """The reply's JSON, after the status code has been believed first. Raises Rejected, BadReply."""
        try:
            reply = msgspec.json.decode(answer.body) if answer.body else None
            readable = answer.body != b""
        except msgspec.DecodeError:
            reply, readable = None, False
        if answer.status >= 400:
            words = self._message(reply) or (
                "" if "html" in answer.content_type else answer.body[:200].decode(errors="replace")
            )
            raise Rejected(words or f"The robot answered {answer.status}.", status=answer.status, body=answer.body)
        if answer.status >= 300:
            raise BadReply(
                f"The robot answered {answer.status}; redirects are not followed.",
                status=answer.status,
                body=answer.body,
            )
        if not readable and (
            must_be_json or "html" in answer.content_type or ("json" in answer.content_type and answer.body)
        ):
            raise BadReply("The reply is not JSON.", status=answer.status, body=answer.body)
        if _search(self.profile.replies.refused, reply) is True:
            raise Rejected(self._message(reply) or "The robot refused.", status=answer.status, body=answer.body)
        return reply

    def _message(self, reply: Any) -> str:
        found = _search(self.profile.replies.message, reply) if isinstance(reply, dict) else None
        return found[:300] if isinstance(found, str) else ""


def _taken_at(read: Read, reply: Any, began_at: float) -> float | None:
    """Since when the values of a reply hold at the latest (epoch s); None: the robot should have said it and did not."""
    if read.taken_at is None:
        return began_at
    said = _search(read.taken_at, reply)
    sound = isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said)
    return min(float(said), began_at) if sound else None


def _search(path: str, reply: Any) -> Any:
    """JMESPath; an expression that does not fit this reply finds nothing in it."""
    try:
        return jmespath.search(path, reply)
    except JMESPathError:
        return None


def extract(spec: Field, read: str, reply: Any) -> Any:
    """The field's value in a reply of `read`: the first source that gives a sound one. None: this reply gives none."""
    for source in spec.sources:
        if source.read != read:
            continue
        value = convert(spec, _search(source.path, reply), source.scale, source.offset)
        if value is not None:
            return value
    return None


def convert(spec: Field, raw: Any, scale: float = 1.0, offset: float = 0.0) -> Any:
    """A raw value as the field's type; None when it is none. A word that the map does not know is "unknown"."""
    if raw is None:
        return None
    if spec.map:
        return spec.map.get(str(raw), "unknown")
    if spec.type == "flag":
        return raw if isinstance(raw, bool) else None
    if spec.type == "text":
        return str(raw)[:200] if isinstance(raw, str | int | float) else None
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        number = float(raw) * scale + offset
    except ValueError:
        return None
    low, high = spec.minimum, spec.maximum
    sound = math.isfinite(number) and (low is None or number >= low) and (high is None or number <= high)
    return round(number, 9) if sound else None


def fill(template: Any, params: dict[str, Any]) -> Any:
    """A template with its parameters: the whole string `$name` becomes the typed value; what was not given is left out."""
    if isinstance(template, dict):
        filled = {key: fill(value, params) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(template, list):
        return [fill(value, params) for value in template]
    if isinstance(template, str) and (match := PLACEHOLDER.fullmatch(template)):
        return params.get(match[1])
    return template
