"""The robot's HTTP servers on raw sockets: the vendor's solid one and today's fragile one."""

import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

from firmware.simulator.faults import Fault
from firmware.simulator.listener import Listener
from firmware.simulator.robot import Robot
from firmware.simulator.transmit import SigpipeError, reset, transmit
from firmware.simulator.wire import Request, parse_head

MAX_BODY_BYTES = 1_000_000
MAX_HEAD_BYTES = 65_536
READ_TIMEOUT_S = 30.0
RECV_BYTES = 2047


def data_segments(connection: socket.socket) -> int:
    """TCP segments with data that have come in so far; 1 where the kernel does not tell."""
    if not hasattr(socket, "TCP_INFO") or sys.platform != "linux":
        return 1
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int(struct.unpack_from("I", info, 152)[0]) if len(info) >= 156 else 1


class Server:
    """Accepts and serves; what the two dialects do differently is in the three methods at the end."""

    backlog = 128
    fragile = False

    def __init__(self, robot: Robot, host: str, port: int, on_death: Callable[[Robot], None] | None = None) -> None:
        self.robot = robot
        self._listener = Listener(host, port, self.backlog)
        self.host, self.port = host, self._listener.port
        self._on_death = on_death
        self._gate = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._abort = threading.Event()
        self._stopping = False
        self._boot_until_s = 0.0
        self.ready = threading.Event()
        self.failure: OSError | None = None
        self._thread = threading.Thread(target=self._accept_forever, name=f"robot-{self.port}", daemon=True)

    # -- from outside

    def start(self) -> None:
        """Power up: connections are refused until the robot has booted."""
        self._boot_until_s = time.monotonic() + self.robot.settings.boot_s
        self._thread.start()

    def stop(self) -> None:
        """End every connection and every thread."""
        self._stopping = True
        self._listener.wake()
        self._drop_everything()
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()

    def restart(self) -> None:
        """The firmware restarts: connections break, its memory is gone, it refuses until it has booted again."""
        with self._gate:
            self._boot_until_s = time.monotonic() + self.robot.settings.boot_s
            self.robot.reboot()
            self._listener.shut()
        self._drop_everything()
        self.settle()
        self._listener.wake()  # whoever waits in accept() does not know of the new time yet

    def settle(self) -> None:
        """Open or shut the port, whichever the state of the robot asks for."""
        with self._gate:
            booted = time.monotonic() >= self._boot_until_s
            if self._stopping or self.robot.died or not booted or self.robot.faults.active("refuse"):
                self._listener.shut()
            else:
                self._listener.open()
        if booted:
            self.ready.set()

    def _drop_everything(self) -> None:
        with self._gate:
            self._abort.set()
            if not self._stopping:
                self._abort = threading.Event()
            connections = list(self._connections)
        self.robot.faults.drop_held()
        for connection in connections:
            with contextlib.suppress(OSError):  # the peer may have been faster
                connection.shutdown(socket.SHUT_RDWR)

    # -- serving

    def _accept_forever(self) -> None:
        while not self._stopping:
            try:
                self.settle()
            except OSError as error:  # somebody else listens on our port
                self.failure = error
                self.ready.set()
                return
            wait_s = self._boot_until_s - time.monotonic()
            connection = self._listener.accept(wait_s if wait_s > 0 else None)
            if connection is not None:
                self._dispatch(connection)

    def _serve(self, connection: socket.socket) -> None:
        """One connection from its acceptance to its end."""
        with connection:
            with self._gate:
                self._connections.add(connection)
                abort = self._abort
            try:
                request = None if abort.is_set() else self._read(connection)
                if request is not None:
                    self._exchange(connection, request, abort)
            except SigpipeError:
                self._die()
            except OSError:
                pass  # the client broke off before its request was complete
            finally:
                with self._gate:
                    self._connections.discard(connection)

    def _exchange(self, connection: socket.socket, request: Request, abort: threading.Event) -> None:
        entry = self.robot.note(request)
        faults = self.robot.faults.take(request.path)
        if "reset_by_peer" in faults:
            reset(connection)
            return
        if not self._hold(faults.get("hang"), abort):
            return
        if "slow" in faults and abort.wait(faults["slow"].value):
            return
        reply = self.robot.answer(request, faults)
        if reply.busy_s and abort.wait(reply.busy_s):
            return
        if not self._hold(faults.get("no_reply_once"), abort):
            return
        entry["status"] = reply.status
        transmit(connection, reply, faults, abort, fragile=self.fragile)

    @staticmethod
    def _hold(fault: Fault | None, abort: threading.Event) -> bool:
        """Wait until a holding fault is cleared; False when the connection is to be dropped instead."""
        if fault is not None:
            released = fault.released
            # In this order: whoever drops connections raises `abort` first and releases second.
            if not abort.is_set():
                released.wait()
        return not abort.is_set()

    def _die(self) -> None:
        self.robot.died = True
        self.settle()
        if self._on_death is not None:
            self._on_death(self.robot)

    # -- what the dialects do differently

    def _dispatch(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _read(self, connection: socket.socket) -> Request | None:
        raise NotImplementedError


class DocumentedServer(Server):
    """A thread for each connection, whole bodies, indifferent to clients that leave."""

    def __init__(self, robot: Robot, host: str, port: int, on_death: Callable[[Robot], None] | None = None) -> None:
        super().__init__(robot, host, port, on_death)
        self._threads: set[threading.Thread] = set()

    def stop(self) -> None:
        super().stop()
        for thread in list(self._threads):
            thread.join()

    def _dispatch(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._serve_in_thread, args=(connection,), daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve_in_thread(self, connection: socket.socket) -> None:
        try:
            self._serve(connection)
        finally:
            self._threads.discard(threading.current_thread())

    def _read(self, connection: socket.socket) -> Request | None:
        connection.settimeout(READ_TIMEOUT_S)
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65_536)
            if not chunk or len(data) > MAX_HEAD_BYTES:
                return None
            data += chunk
        first, _, body = data.partition(b"\r\n\r\n")
        method, target, headers = parse_head(first, max_path=8192, max_headers=100, max_value=8192)
        length = headers.get("content-length", "0")
        wanted = min(int(length), MAX_BODY_BYTES) if length.isdigit() else 0
        while len(body) < wanted:
            chunk = connection.recv(65_536)
            if not chunk:
                return None
            body += chunk
        # Sending, too, is bounded: a client that never reads must not keep a thread for ever.
        return Request(method, target, headers, body[:wanted])


class ObservedServer(Server):
    """One thread, one connection at a time, one recv(), no time-out, and death by SIGPIPE."""

    backlog = 16  # the kernel queues one more than asked for: 17
    fragile = True

    def _dispatch(self, connection: socket.socket) -> None:
        self._serve(connection)

    def _read(self, connection: socket.socket) -> Request | None:
        # A blocking recv() as the first thing: what has not arrived when it returns is lost, as in the real one.
        data = connection.recv(RECV_BYTES)
        if not data:
            return None
        first, _, body = data.partition(b"\r\n\r\n")
        method, target, headers = parse_head(first, max_path=255, max_headers=16, max_value=255)
        # The C program wins the race against a second segment nearly always, Python only sometimes: make it always.
        late = data_segments(connection) > 1
        return Request(method, target, headers, b"" if late else body)


def server_for(robot: Robot, host: str, port: int, on_death: Callable[[Robot], None] | None = None) -> Server:
    """The server of the robot's dialect."""
    kind = ObservedServer if robot.settings.dialect == "observed" else DocumentedServer
    return kind(robot, host, port, on_death)
