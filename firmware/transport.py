"""Bytes to a robot and back, over requests and urllib3, without doing it harm.

Three things differ from a plain session: headers and body leave in one write; a socket whose request is unanswered is
never closed but drained; and the address connected to is the address that was checked.
"""

import http.client
import io
import re
import socket
import time
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, IncompleteRead, NewConnectionError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from firmware import network
from firmware.errors import BadReply, FirmwareError, NoReply, Unreachable
from firmware.language.reads import Transport as Needs
from firmware.slots import Exchange, under_way

# A robot that vanished without a word (power, cable) is noticed by the kernel; one that is merely slow is not given up.
DEAD_PEER_OPTIONS = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if hasattr(socket, "TCP_USER_TIMEOUT"):
    DEAD_PEER_OPTIONS += [
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 3),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000),
    ]
HEADERS = {"User-Agent": "robotctl", "Accept": "application/json", "Accept-Encoding": "identity"}
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
LONGEST_HEAD_BYTES = 64 * 1024  # of a reply: status line and headers


class _TimedReader(socket.SocketIO):
    """Reads a reply under one deadline for all of it, however slowly the bytes drip, and never without end."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        super().__init__(sock, "r")
        sock._io_refs += 1  # type: ignore[attr-defined]  # as makefile() does: the socket lives until we are closed
        self._timed, self._exchange, self._left = sock, exchange, exchange.reply_limit + LONGEST_HEAD_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks of a socket."""
        return io.BufferedReader(self)

    def readinto(self, buffer: Any) -> int | None:
        self._timed.settimeout(self._exchange.remaining_s())
        try:
            count = super().readinto(buffer)
        except ConnectionError:
            self._exchange.answered = True  # the robot ended it: nothing to wait for
            raise
        self._exchange.answered = True
        self._left -= count or 0
        if self._left < 0:
            raise BadReply(f"The reply is longer than {self._exchange.reply_limit} bytes.")
        return count


class _OneWrite:
    """Mixed into urllib3's connection classes."""

    sock: socket.socket | None
    host: str
    port: int
    timeout: float | None
    _exchange: Exchange | None = None
    _pending: bytearray | None = None

    def _new_conn(self) -> socket.socket:
        exchange: Exchange = under_way.exchange
        exchange.begin_attempt()
        for address in network.resolve(self.host, self.port):
            try:
                return _connected(address, self.port, min(self.timeout or 60.0, exchange.remaining_s()))
            except TimeoutError:
                exchange.trouble = f"no connection to {address}:{self.port} in time"
            except OSError as error:
                exchange.trouble = f"{error.strerror or error} ({address}:{self.port})"
        raise NewConnectionError(self, exchange.trouble)  # type: ignore[arg-type]

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Gather what urllib3 would send in pieces, and send it in one write."""
        exchange: Exchange = under_way.exchange
        exchange.begin_attempt()
        self._pending = bytearray()
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
            whole = bytes(self._pending)
        finally:
            self._pending = None
        self._exchange = exchange
        exchange.begin_sending(self.sock)
        super().send(whole)  # type: ignore[misc]

    def send(self, data: bytes) -> None:
        if self._pending is None:
            super().send(data)  # type: ignore[misc]
            return
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        self._pending += data

    def response_class(self, sock: socket.socket, **kwargs: Any) -> http.client.HTTPResponse:
        assert self._exchange is not None
        reader: Any = _TimedReader(sock, self._exchange)
        self._exchange.response = http.client.HTTPResponse(reader, **kwargs)
        return self._exchange.response

    def close(self) -> None:
        """http.client calls this in the middle of every `Connection: close` reply, too: only silence is an abandonment."""
        exchange = self._exchange
        if self.sock is not None and exchange is not None and exchange.must_not_close(self.sock):
            sock, self.sock = self.sock, None
            exchange.hand_over(sock)
        super().close()  # type: ignore[misc]


def _connected(address: str, port: int, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in DEAD_PEER_OPTIONS:
            sock.setsockopt(*option)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class _Connection(_OneWrite, HTTPConnection):  # type: ignore[misc]
    pass


class _TlsConnection(_OneWrite, HTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls: Any = _Connection
    keep = False

    def _put_conn(self, conn: Any) -> None:
        """A robot that ignores our `Connection: close` leaves the line open; an idle one would block everybody else."""
        if conn is not None and not self.keep:
            conn.close()
        super()._put_conn(conn)


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Adapter(HTTPAdapter):
    """requests' adapter with the connection classes above."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


@dataclass(frozen=True)
class Ready:
    """A request that is prepared once and sent any number of times. `size` is its length on the wire, at most."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    size: int


@dataclass(frozen=True)
class Answer:
    """A whole reply. `began_at` and `ended_at` are epoch seconds; a value in it was true at some moment between."""

    status: int
    content_type: str
    body: bytes
    began_at: float
    ended_at: float
    location: str = ""


class Transport:
    """One robot's wire: without proxies, redirects, cookies or stray headers. ValueError when `base_url` is none."""

    def __init__(self, base_url: str, needs: Needs) -> None:
        self.needs = needs
        self._base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.headers.update(HEADERS if needs.keep_alive else {**HEADERS, "Connection": "close"})
        self._pool = self._new_pool()

    def _new_pool(self) -> Any:
        adapter = Adapter(pool_maxsize=self.needs.max_unanswered)
        try:
            request = requests.Request("GET", self._base_url).prepare()
            pool: Any = adapter.get_connection_with_tls_context(request, verify=True)
        except requests.RequestException as error:
            raise ValueError(str(error)) from error
        pool.keep = self.needs.keep_alive
        adapter.cert_verify(pool, self._base_url, True, None)  # type: ignore[no-untyped-call]
        return pool

    def prepare(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Ready:
        """Build a request once. ValueError (without words: it may hold a credential) when HTTP cannot carry it."""
        try:
            request = requests.Request(method, self._base_url + path, headers=headers, data=body)
            prepared = self._session.prepare_request(request)
            plain = {str(name): str(value) for name, value in prepared.headers.items()}
            if any(CONTROL.search(value) for value in plain.values()):
                raise requests.exceptions.InvalidHeader
            head = "".join(f"{name}: {value}\r\n" for name, value in plain.items()).encode("latin-1")
        except (requests.RequestException, UnicodeError):
            raise ValueError from None
        size = len(f"{method} {prepared.url} HTTP/1.1\r\nHost: \r\n\r\n") + len(head) + len(body or b"")
        return Ready(method, prepared.path_url, plain, body, size)

    def send(self, ready: Ready, exchange: Exchange, retry: Retry) -> Answer:
        """Send it and read the whole reply. Raises Unreachable, NoReply, BadReply, Forbidden, and what `check` raises."""
        began_at = time.time()
        under_way.exchange = exchange
        try:
            response = self._pool.urlopen(
                ready.method,
                ready.target,
                body=ready.body,
                headers=ready.headers,
                retries=retry,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=self.needs.connect_timeout_s, read=self.needs.timeout_s),
                preload_content=False,
                decode_content=False,
            )
            try:
                body = self._read(response)
            finally:
                response.close()
        except (HTTPError, http.client.HTTPException, OSError) as error:
            # A robot's bytes, in which it may repeat our credentials, do not get into tracebacks.
            raise translate(error, exchange) from (error if exchange.sent_at is None else None)
        finally:
            del under_way.exchange
            if exchange.response is not None:
                exchange.response.close()  # urllib3 forgets it when it does not like a header
        kind, location = response.headers.get("Content-Type", ""), response.headers.get("Location", "")
        return Answer(response.status, kind, body, began_at, time.time(), location)

    def _read(self, response: BaseHTTPResponse) -> bytes:
        """As it came: nobody was asked to compress it, and a bomb is not unpacked."""
        limit = self.needs.max_reply_bytes
        body: bytes = response.read(limit + 1)
        if len(body) > limit:
            raise BadReply(f"The reply is longer than {limit} bytes.", status=response.status, body=body)
        return body

    def close(self) -> None:
        """Let go of idle connections. Who is still at it may go on, and a later request opens a new one."""
        idle, self._pool = self._pool, self._new_pool()
        idle.close()


def translate(error: Exception, exchange: Exchange) -> FirmwareError:
    """urllib3 names the same failure differently; what left and what came says which it was."""
    cause = _root(error)
    if exchange.sent_at is None:
        return Unreachable(f"The robot cannot be reached: {exchange.trouble or cause}.")
    if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) or exchange.drained:
        return NoReply("The request was sent; no whole reply came in time.")
    if isinstance(cause, ConnectionError) or not exchange.answered:
        return NoReply("The request was sent; the robot closed the connection without a whole reply.")
    if isinstance(cause, IncompleteRead | http.client.IncompleteRead):
        return BadReply("The reply broke off.")
    return BadReply("The reply is no HTTP.")


def _root(error: BaseException) -> BaseException:
    """The innermost cause: urllib3 keeps it in `reason` or as the last argument."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in reversed(error.args) if isinstance(arg, BaseException)), None)
        if inner is None:
            return error
        error = inner
