"""Bytes to a robot and back, over requests and urllib3, without doing it harm.

Three things differ from a plain session: headers and body leave in one write; a socket whose request is unanswered is
never closed but drained; and the address connected to is the address that was checked.
"""

import io
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse as PlainResponse
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.retry import Retry

from firmware import network
from firmware.drainer import Unanswered, drainer
from firmware.errors import BadReply, NoReply, Unreachable
from firmware.profile import Transport as Needs

# A robot that vanished without a word (power, cable) is noticed by the kernel; one that is merely slow is not given up.
DEAD_PEER_OPTIONS = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        [
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 3),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000),
        ]
        if hasattr(socket, "TCP_USER_TIMEOUT")
        else []
    ),
]
READ_RETRY = Retry(
    total=2,
    connect=2,
    read=0,  # a read that was sent and not answered is not sent again
    status=2,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=("GET",),
    backoff_factor=0.1,
    backoff_jitter=0.1,
    backoff_max=1.0,
    retry_after_max=1,
    raise_on_status=False,
    redirect=False,
)
POLL_RETRY = Retry(total=0, read=0, redirect=False, raise_on_status=False)  # the next tick is the retry
ACTION_RETRY = Retry(total=1, connect=1, read=0, status=0, redirect=False, raise_on_status=False, backoff_factor=0.05)


@dataclass
class Exchange:
    """One request under way in this thread; what the connection class reports about it."""

    what: str
    deadline: float  # monotonic
    drain: bool
    on_drained: Callable[[], None]  # its socket now waits for the reply in the background
    on_late_end: Callable[[bytes], None]  # and has ended there
    sent_at: float | None = None  # epoch seconds; None: not a byte has left
    answered: bool = False  # a byte of the reply, or the end of the connection, has come
    drained: bool = False

    def remaining_s(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left


_under_way = threading.local()


class _TimedReader(io.RawIOBase):
    """Reads a reply under one deadline for all of it, however slowly the bytes drip."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self.raw, self.sock, self.exchange = raw, sock, exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.sock.settimeout(self.exchange.remaining_s())
        try:
            count = self.raw.readinto(buffer)  # type: ignore[attr-defined]
        except ConnectionError:
            self.exchange.answered = True  # the robot ended it: nothing to wait for
            raise
        self.exchange.answered = True
        return count  # type: ignore[no-any-return]

    def close(self) -> None:
        self.raw.close()
        super().close()


class _OneWrite:
    """Mixed into urllib3's connection classes."""

    sock: socket.socket | None
    host: str
    port: int
    timeout: float | None
    _exchange: Exchange
    _pending: bytearray | None = None

    def _new_conn(self) -> socket.socket:
        exchange: Exchange = _under_way.exchange
        address = network.resolve(self.host, self.port)
        try:
            timeout = min(self.timeout or 60.0, exchange.remaining_s())
            sock = socket.create_connection((address, self.port), timeout)
        except TimeoutError as error:
            raise urllib3.exceptions.ConnectTimeoutError(
                self, f"no connection to {address}:{self.port} in time"
            ) from error  # type: ignore[arg-type]
        except OSError as error:
            words = f"{error.strerror or error} ({address}:{self.port})"
            raise urllib3.exceptions.NewConnectionError(self, words) from error  # type: ignore[arg-type]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in DEAD_PEER_OPTIONS:
            sock.setsockopt(*option)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Gather what urllib3 would send in pieces, and send it in one write."""
        self._exchange = _under_way.exchange
        self.response_class = self._timed_response
        self._pending = bytearray()
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
            whole = bytes(self._pending)
        finally:
            self._pending = None
        self._exchange.sent_at = time.time()
        super().send(whole)  # type: ignore[misc]

    def send(self, data: bytes) -> None:
        if self._pending is None:
            super().send(data)  # type: ignore[misc]
            return
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        self._pending += data

    def _timed_response(self, sock: socket.socket, **kwargs: Any) -> PlainResponse:
        response = PlainResponse(sock, **kwargs)
        raw = response.fp.detach()  # type: ignore[attr-defined]
        response.fp = io.BufferedReader(_TimedReader(raw, sock, self._exchange))
        return response

    def close(self) -> None:
        """http.client calls this in the middle of every `Connection: close` reply, too: only silence is an abandonment."""
        exchange = getattr(self, "_exchange", None)
        if self.sock is not None and exchange and exchange.drain and exchange.sent_at and not exchange.answered:
            sock, self.sock = self.sock, None
            exchange.drained = True
            exchange.on_drained()
            drainer.adopt(Unanswered(sock, exchange.what, exchange.on_late_end))
        super().close()  # type: ignore[misc]


class _Connection(_OneWrite, HTTPConnection):
    pass


class _TlsConnection(_OneWrite, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """requests' adapter with the connection classes above."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


@dataclass(frozen=True)
class Answer:
    """A whole reply. `began_at` and `ended_at` are epoch seconds; a value in it was true at some moment between."""

    status: int
    content_type: str
    body: bytes
    began_at: float
    ended_at: float

    @property
    def latency_ms(self) -> float:
        return (self.ended_at - self.began_at) * 1000


class Transport:
    """One robot's wire: a session without proxies, redirects, cookies or stray headers."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.clear()
        self.session.headers.update(
            {"User-Agent": "robotctl", "Accept": "application/json", "Accept-Encoding": "identity"}
        )
        if not needs.keep_alive:
            self.session.headers["Connection"] = "close"
        self._adapters: dict[int, Adapter] = {}

    def prepare(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> requests.PreparedRequest:
        """Build a request once; it may be sent any number of times."""
        if body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        return self.session.prepare_request(requests.Request(method, url, headers=headers, data=body))

    def send(self, prepared: requests.PreparedRequest, exchange: Exchange, retry: Retry) -> Answer:
        """Send it and read the whole reply. Raises Unreachable, NoReply, BadReply, Forbidden."""
        adapter = self._adapters.setdefault(id(retry), Adapter(max_retries=retry, pool_maxsize=2))
        timeout = (self.needs.connect_timeout_s, max(0.001, exchange.deadline - time.monotonic()))
        began_at = time.time()
        _under_way.exchange = exchange
        try:
            response = adapter.send(prepared, stream=True, timeout=timeout)
            try:
                body = self._read(response)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise translate(error, exchange) from error
        finally:
            del _under_way.exchange
        return Answer(response.status_code, response.headers.get("Content-Type", ""), body, began_at, time.time())

    def _read(self, response: requests.Response) -> bytes:
        limit = self.needs.max_reply_bytes
        body: bytes = response.raw.read(limit + 1, decode_content=True)
        if len(body) > limit:
            raise BadReply(f"The reply is longer than {limit} bytes.", status=response.status_code, body=body)
        return body

    def close(self) -> None:
        for adapter in self._adapters.values():
            adapter.close()


def translate(error: Exception, exchange: Exchange) -> Unreachable | NoReply | BadReply:
    """requests and urllib3 name the same failure differently; what left and what came says which it was."""
    cause = _root(error)
    if exchange.sent_at is None:
        return Unreachable(f"The robot cannot be reached: {cause}.")
    if exchange.answered and not isinstance(cause, ConnectionError | TimeoutError) and not _ended_silently(cause):
        return BadReply(f"The reply broke off or is no HTTP: {cause}.")
    if isinstance(cause, TimeoutError) or exchange.drained:
        return NoReply("The request was sent; no whole reply came in time.")
    return NoReply("The request was sent; the robot closed the connection without a whole reply.")


def _ended_silently(cause: BaseException) -> bool:
    return type(cause).__name__ == "RemoteDisconnected"


def _root(error: BaseException) -> BaseException:
    """The innermost cause: urllib3 keeps it in `reason` or as the last argument."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in reversed(error.args) if isinstance(arg, BaseException)), None)
        if inner is None and isinstance(
            error, urllib3.exceptions.ReadTimeoutError | urllib3.exceptions.ConnectTimeoutError
        ):
            return TimeoutError(str(error).rpartition(": ")[2])
        if inner is None:
            return error
        error = inner
