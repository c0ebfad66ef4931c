"""Stops that are not written down yet, on this host's disk: a process that dies, or a database that is away, loses none.

A file is locked by the process that writes it down; the lock goes with the process, and then another one takes it over. Until the
last is in, no motion is sent from this host.
"""

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import structlog
from django.conf import settings

from accounts import context

WRITTEN_WITHIN_S = 1.0  # so long a stop that is being written down keeps nobody from moving another robot

log = structlog.get_logger(__name__)


class Press(msgspec.Struct, frozen=True):
    """One press of a stop: which robots, by whom, when (epoch s)."""

    robots: list[str]
    by: str
    reason: str
    began_at: float
    origin: context.Origin


@dataclass
class Entry:
    """A press on the disk, held by this process."""

    path: Path
    file: IO[bytes]

    def drop(self) -> None:
        """It is written down."""
        self.path.unlink(missing_ok=True)
        self.file.close()

    def let_go(self) -> None:
        """It is not; whoever looks next takes it over."""
        self.file.close()


def folder() -> Path:
    return Path(settings.ENV.var) / "spool"


def keep(press: Press) -> Entry | None:
    """Put it on the disk. None when that is not to be had; the stop goes on all the same."""
    try:
        folder().mkdir(mode=0o700, exist_ok=True)
        path = folder() / f"{press.began_at:.6f}-{uuid.uuid4().hex}.json"
        file = path.with_suffix(".new").open("wb")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(msgspec.json.encode(press))
        file.flush()
        os.fsync(file.fileno())
        path.with_suffix(".new").rename(path)
    except OSError as error:
        log.exception("spool.not_kept", robots=press.robots, error=str(error))
        return None
    return Entry(path, file)


def is_waiting(slug: str = "") -> bool:
    """Whether there is a stop on this host that could not be written down yet, or, however new it is, one of the robot `slug`."""
    old = time.time() - WRITTEN_WITHIN_S
    try:
        with os.scandir(folder()) as entries:
            return any(
                _since(entry) < old or (slug and _names(entry, slug))
                for entry in entries
                if entry.name.endswith(".json")
            )
    except FileNotFoundError:
        return False


def holds(slug: str) -> bool:
    """Whether a stop of this very robot is on the disk and not written down yet, by this process or another."""
    try:
        with os.scandir(folder()) as entries:
            return any(_names(entry, slug) for entry in entries if entry.name.endswith(".json"))
    except FileNotFoundError:
        return False


def _names(entry: os.DirEntry[str], slug: str) -> bool:
    try:
        return slug in msgspec.json.decode(Path(entry.path).read_bytes(), type=Press).robots
    except FileNotFoundError:  # written down meanwhile
        return False
    except msgspec.DecodeError:
        return True


def _since(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # written down meanwhile
        return time.time()


def orphans() -> Iterator[tuple[Press, Entry]]:
    """What nobody is writing down, oldest first; whoever gets it holds it now."""
    for path in sorted(folder().glob("*.json")):
        with contextlib.suppress(OSError):
            entry = Entry(path, path.open("rb"))
            try:
                fcntl.flock(entry.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not path.exists():  # written down since it was listed
                    raise FileNotFoundError
                press = msgspec.json.decode(entry.file.read(), type=Press)
            except (OSError, msgspec.DecodeError) as error:
                entry.let_go()
                if isinstance(error, msgspec.DecodeError):
                    log.exception("spool.unreadable", file=path.name, error=str(error))
                    path.rename(path.with_suffix(".unreadable"))
                continue
            yield press, entry
