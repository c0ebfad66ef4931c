"""A file lock that a process holds while it lives: the kernel lets go of it, however the process ends.

So whoever is killed is known to be gone at once by the others on its machine, not only when its leases run out. Processes on
other machines have no file here; of them only time tells.
"""

import atexit
import fcntl
import os
import socket
import threading
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote

from django.conf import settings

REMEMBERED_FOR_S = 86_400


def _path(owner: str) -> Path:
    return Path(settings.ENV.var) / "processes" / quote(owner, safe="")


class Presence:
    """Held from making until `end`."""

    def __init__(self, owner: str) -> None:
        self._path = _path(owner)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def end(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def is_gone(owner: str, *, forget: bool = True) -> bool:
    """Whether `owner` has lived on this machine and lives no more. False when this machine cannot know (any more)."""
    path = _path(owner)
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if forget:
                path.unlink(missing_ok=True)
            return True
    except OSError:  # held, or no such file
        return False


_mine: "Presence | None" = None
_making = threading.Lock()
_name = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"  # process ids come again


def _forget_the_long_gone() -> None:
    for path in _path(_name).parent.glob("*"):
        if path.stat().st_mtime < time.time() - REMEMBERED_FOR_S:
            is_gone(unquote(path.name))


def me() -> str:
    """The name of this process, for what it carries out; others see when it is gone."""
    global _mine
    with _making:
        if _mine is None:
            _forget_the_long_gone()
            _mine = Presence(_name)
            atexit.register(_mine._file.close)  # its file stays: what this process carried out is seen to be nobody's
    return _name
