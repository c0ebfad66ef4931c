"""A file lock that a poll process holds while it lives: the kernel lets go of it, however the process ends.

So whoever is killed is known to be gone at once by the others on its machine, not only when its leases run out. Processes on
other machines have no file here; of them only time tells.
"""

import fcntl
from pathlib import Path
from typing import IO
from urllib.parse import quote

from django.conf import settings


def _path(owner: str) -> Path:
    return Path(settings.ENV.var) / "pollers" / quote(owner, safe="")


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


def is_gone(owner: str) -> bool:
    """Whether `owner` has lived on this machine and lives no more. False when this machine cannot know."""
    path = _path(owner)
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            return True
    except OSError:  # held, or no such file
        return False
