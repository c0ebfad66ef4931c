"""Passwords that have leaked, looked up in a file on this machine: Have I Been Pwned's list, ordered by hash.

A line is `SHA1HEX:count`. The file has tens of gigabytes: it is bisected, some forty reads of a few bytes, and never read whole.
"""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.core.exceptions import ValidationError

log = logging.getLogger(__name__)
LINE = re.compile(rb"([0-9A-Fa-f]{40}):\d{1,12}\r?")
LONGEST_LINE = 64
LOOKED_AT = 256  # places, at start


class Unusable(Exception):
    """The file cannot be read, or is not such a list; says why."""


def is_in(password: str, path: Path) -> bool:
    """Whether `password` is in the list at `path`. Raises Unusable."""
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    try:
        with path.open("rb", buffering=0) as file:
            return _holds(file.fileno(), wanted)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from error


def _holds(descriptor: int, wanted: bytes) -> bool:
    low, high = 0, os.fstat(descriptor).st_size  # a line that begins in [low, high) may be it
    while low < high:
        middle = (low + high) // 2
        begins, found, ends = _line(descriptor, middle)
        if found is None or begins >= high:
            high = middle
        elif found == wanted:
            return True
        elif found < wanted:
            low = ends
        else:
            high = middle
    return False


def _line(descriptor: int, at: int) -> tuple[int, bytes | None, int]:
    """The first line that begins at `at` or after: where, its hash (None: there is none), where the next one begins."""
    before = max(at - 1, 0)  # a line that begins at `at` is seen by the end of the one before
    block = os.pread(descriptor, 2 * LONGEST_LINE + 1, before)
    skipped = 0 if at == 0 else block.find(b"\n") + 1
    if at and not skipped and len(block) > LONGEST_LINE:
        raise Unusable(f"Near byte {at} there is no line `SHA1:count`.")
    text = block[skipped:].partition(b"\n")[0]
    if (at and not skipped) or not text:
        return before + len(block), None, before + len(block)
    match = LINE.fullmatch(text)
    if match is None:
        raise Unusable(f"Near byte {at} there is no line `SHA1:count`.")
    begins = before + skipped
    return begins, match[1].upper(), begins + len(text) + 1


def look_through(path: Path) -> None:
    """Some lines, over the whole file: that they are such lines, and in order. Raises Unusable."""
    try:
        with path.open("rb", buffering=0) as file:
            descriptor = file.fileno()
            size = os.fstat(descriptor).st_size
            begun_at, last = -1, b""
            for at in (number * size // LOOKED_AT for number in range(LOOKED_AT)):
                begins, found, _ = _line(descriptor, at)
                if found is None or begins == begun_at:
                    continue
                if found <= last:
                    raise Unusable("It is not ordered by hash: take the file `ordered by hash`, or sort it.")
                begun_at, last = begins, found
            if not last:
                raise Unusable("It is empty.")
    except OSError as error:
        raise Unusable(f"It cannot be read: {error.strerror}.") from error


@register
def check(app_configs: Any = None, **_: Any) -> list[Error]:
    """System check: `manage.py check`, and every `manage.py migrate`, which comes before a start."""
    path = settings.BREACHED_PASSWORDS
    if path is None:
        return []
    try:
        look_through(path)
    except Unusable as error:
        return [Error(f"ROBOTCTL_BREACHED_PASSWORDS={path}: {error}", id="accounts.E001")]
    return []


class LeakedValidator:
    """Django's interface of a password validator. Without a file there is nothing to look up."""

    def validate(self, password: str, user: Any = None) -> None:
        path = settings.BREACHED_PASSWORDS
        if path is None:
            return
        try:
            leaked = is_in(password, path)
        except Unusable as error:
            log.error("ROBOTCTL_BREACHED_PASSWORDS: %s", error)  # noqa: TRY400 - the words are enough
            words = "Passwords cannot be set now: the list of leaked ones cannot be read. Tell an administrator."
            raise ValidationError(words, code="password_list_unusable") from error
        if leaked:
            raise ValidationError(
                "This password has leaked elsewhere, and is tried first. Take another.", code="password_leaked"
            )

    def get_help_text(self) -> str:
        return "Your password must not be one that has leaked."
