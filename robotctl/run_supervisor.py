"""The supervisor of `make run`, in the foreground: supervisord, with what its events mean told on the terminal.

Listening inside the process instead of by an event listener program: one process less, the terminal needs no reopening
(`/dev/stdout` cannot be opened when it is a socket), and the exit code can say what happened.
"""

import argparse
import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions, decode_wait_status
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor

from robotctl.run_listener import Banner, Watch, say

OPEN_FILES = 10_240  # one per socket of a page; macOS allows 256 unasked
LAST_TIMEOUT_S = 30
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class WakeUp:
    """Ends the supervisor's one-second wait as soon as a signal comes. Looks like a socket to its loop."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self.reading, 4096)


class Options(ServerOptions):  # type: ignore[misc]
    """Supervisor's options, with three habits of our own."""

    def __init__(self) -> None:
        super().__init__()
        self.how: dict[int, str] = {}
        self.supervisor_pid = os.getpid()

    def waitpid(self) -> tuple[int | None, int]:
        pid, status = super().waitpid()
        if pid:  # the events do not say how a process ended
            self.how[pid] = decode_wait_status(status)[1].replace("exit status", "exit")
        return pid, status

    def setpgrp(self) -> None:
        """In the child, before exec: should the supervisor be killed, the kernel kills its children."""
        super().setpgrp()
        if LIBC:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.supervisor_pid:
                os._exit(1)

    def get_signal(self) -> int | None:
        received: int | None = super().get_signal()
        return signal.SIGTERM if received == signal.SIGHUP else received  # a closed terminal means stop, not reload


class Watched(Supervisor):  # type: ignore[misc]
    """A supervisor that tells what happens to its children."""

    def __init__(self, options: Options, watch: Watch, banner: Banner | None) -> None:
        super().__init__(options)
        self.watch = watch
        self.banner = banner

    def runforever(self) -> None:
        events.subscribe(events.ProcessStateEvent, self.changed)
        events.subscribe(events.SupervisorStoppingEvent, lambda _: say("Stopping …"))
        wake_up = WakeUp()
        self.options.get_socket_map()[wake_up.reading] = wake_up
        super().runforever()

    def tick(self, now: float | None = None) -> None:
        super().tick(now)
        if self.banner and not self.stopping:
            self.banner.tick()

    def changed(self, event: Any) -> None:
        if self.options.mood < SupervisorStates.RUNNING:
            return
        child = event.process
        name = child.config.name
        match event:
            case events.ProcessStateRunningEvent():
                self.watch.running(name)
            case events.ProcessStateExitedEvent():
                child.config.autorestart = self.watch.died(name, self.how(child), 0)
            case events.ProcessStateBackoffEvent():
                if not self.watch.died(
                    name, self.how(child), child.backoff, retry=child.backoff <= child.config.startretries
                ):
                    child.config.startretries = 0
        if self.watch.fatal:
            self.options.mood = SupervisorStates.SHUTDOWN

    def how(self, child: Any) -> str:
        died: str | None = self.options.how.pop(child.pid, None)
        return died or str(child.spawnerr)


def supervise(config: Path, watch: Watch, banner: Banner | None, last: list[str]) -> int:
    """Run until told to stop, or until an essential child is given up; then, when all have ended, the command `last`.

    Returns the exit code.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    options = Options()
    options.realize(["--configuration", str(config)])
    options.first, options.test = True, False
    with contextlib.suppress(asyncore.ExitNow):  # how supervisord ends
        Watched(options, watch, banner).main()
    options.close_logger()
    if last:
        run_last(last, watch.logs)
    say(watch.fatal or "robotctl has stopped.")
    return 1 if watch.fatal else 0


def run_last(command: list[str], logs: Path) -> None:
    """When nobody writes any more."""
    with (logs / "last.log").open("ab") as log:
        try:
            subprocess.run(command, stdout=log, stderr=log, timeout=LAST_TIMEOUT_S, check=True)  # noqa: S603 - our own
        except subprocess.SubprocessError:
            say(f"The last rows of the journal are not sealed, the next start does that; see {log.name}.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--page", nargs=3, metavar=("HOST", "PORT", "VAR"), help="tell when this page answers")
    parser.add_argument(
        "--last", nargs="+", default=[], metavar="COMMAND", help="run this when all children have ended"
    )
    arguments = parser.parse_args()
    banner = None
    if arguments.page:
        host, port, var = arguments.page
        banner = Banner(host, int(port), Path(var))
    return supervise(arguments.config, Watch(arguments.logs), banner, arguments.last)


if __name__ == "__main__":
    sys.exit(main())
