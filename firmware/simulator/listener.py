"""A listening socket that can be shut and opened again without losing its port."""

import contextlib
import select
import socket
import threading


class Listener:
    """Bound from the start; while it is shut, connections are refused and the port stays ours."""

    def __init__(self, host: str, port: int, backlog: int) -> None:
        self._host, self._backlog = host, backlog
        self._lock = threading.Lock()
        self._open = False
        self._closed = False
        self._socket = self._bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)

    def _bound(self, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((self._host, port))
        except OSError:
            sock.close()
            raise
        return sock

    def open(self) -> None:
        """Accept connections from now on. OSError if another process listens on the port."""
        with self._lock:
            if self._open or self._closed:
                return
            self._socket.listen(self._backlog)
            self._open = True
        self.wake()

    def shut(self) -> None:
        """Refuse connections from now on; what waits in the queue is reset."""
        with self._lock:
            if not self._open or self._closed:
                return
            self._open = False
            # Closing alone would leave it listening for as long as another thread waits on it.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = self._bound(self.port)
        self.wake()

    def wake(self) -> None:
        """Make a waiting `accept` return."""
        with self._lock:
            if not self._closed:
                self._wake_in.send(b"x")

    def accept(self, timeout_s: float | None) -> socket.socket | None:
        """The next connection; None when woken or out of time."""
        poller = select.poll()
        poller.register(self._wake_out, select.POLLIN)
        with self._lock:
            sock = self._socket if self._open else None
            if sock is not None:
                poller.register(sock, select.POLLIN)
        ready = poller.poll(None if timeout_s is None else max(timeout_s, 0.0) * 1000 + 1)
        with self._lock:
            if any(number == self._wake_out.fileno() for number, _ in ready):
                self._wake_out.recv(4096)
            if sock is None or sock is not self._socket:
                return None
            try:
                connection, _ = sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return None
        connection.setblocking(True)
        return connection

    def close(self) -> None:
        """Give the port back. Call it when nobody waits in `accept` any more."""
        with self._lock:
            self._closed = True
            for sock in (self._socket, self._wake_in, self._wake_out):
                sock.close()
