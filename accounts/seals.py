"""Closing the journal: every few seconds the rows after the last seal get one, which is signed and follows from the one before.

A seal makes no row of its own: that row would need a seal, and so on for ever. Its head goes to the log and to a file instead.
"""

import base64
import fcntl
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Min
from django.utils import timezone

from accounts import seal_format as form
from accounts import sealed_rows
from accounts.examine import BEFORE_ALL, Finding
from accounts.journal_models import JournalEntry, Seal

MOST = 5_000  # rows in one seal
HEAD = ("number", "count", "first_id", "last_id", "sealed_at", "digest")  # what the head's file says
log = structlog.get_logger("robotctl.journal")


@dataclass(frozen=True)
class Tail:
    """The rows that no seal closes yet; `oldest_at`: of those that were recorded when they happened."""

    count: int
    oldest_at: datetime | None

    def age_s(self, now: datetime) -> float:
        return max((now - self.oldest_at).total_seconds(), 0.0) if self.oldest_at else 0.0


def seal() -> int:
    """Close all rows after the last seal. Returns how many seals were made. Any number of processes may do so at a time."""
    made = 0
    keep_public_key()
    while True:
        last = newest()
        closing = form.Closing()
        for row in sealed_rows.read(JournalEntry.objects.filter(pk__gt=last["last_id"]), limit=MOST):
            closing.add(row)
        if not closing.count or not _insert(last, closing):
            return made
        made += 1


def close() -> None:
    """The last thing that a process does: what it wrote does not wait for another one's next turn."""
    try:
        seal()
    except (DatabaseError, OSError) as error:  # OSError: a disk that is full, for its head
        log.warning("journal.not_sealed", error=str(error))


def newest() -> dict[str, Any]:
    """`number`, `last_id` and `digest` of the last seal, or of what the first one follows."""
    found = Seal.objects.order_by("-number").values("number", "last_id", "digest").first()
    return dict(found) if found else dict(BEFORE_ALL)


def tail() -> Tail:
    rows = JournalEntry.objects.filter(pk__gt=newest()["last_id"])
    oldest = rows.filter(late=False).aggregate(oldest=Min("at"))["oldest"]
    return Tail(rows.count(), oldest)


def _insert(last: dict[str, Any], closing: form.Closing) -> bool:
    """False when another process was first."""
    now = timezone.now()
    made = closing.seal(last["number"] + 1, sealed_at=sealed_rows.timestamp(now), previous=last["digest"])
    made = form.sign(made, private_key())
    columns = {**made, "sealed_at": now, "witness": base64.b64decode(made["witness"])}
    try:
        with transaction.atomic():
            Seal.objects.create(**columns)
    except IntegrityError:
        return False
    log.info("journal.sealed", number=made["number"], count=made["count"], digest=made["digest"])
    _write_head(made)
    return True


# --- keys -----------------------------------------------------------------------------------------------------------
def private_key() -> Any:
    return form.private_key(settings.ENV.seal_key)


def trusted() -> list[str]:
    """The public keys whose seals count: ours first, those of before, those that the environment names."""
    own, file = form.public_key(private_key()), _public_keys_file()
    kept = file.read_text().split() if file.exists() else []
    return list(dict.fromkeys([own, *settings.ENV.seal_public_keys, *kept]))


def keep_public_key() -> None:
    """So that what is sealed today is still trusted when the key is another one."""
    own, file = form.public_key(private_key()), _public_keys_file()
    if file.exists() and own in file.read_text().split():
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a") as out:
        out.write(own + "\n")


def _public_keys_file() -> Path:
    path: Path = settings.ENV.var / "keys" / "journal-public-keys"
    return path


# --- the head -------------------------------------------------------------------------------------------------------
def head_file() -> Path:
    path: Path = settings.ENV.var / "journal-head"
    return path


def head_findings() -> list[Finding]:
    """Whether the newest seal that this host has made is still there: a chain does not show that its end was cut off."""
    if not head_file().exists():
        return []
    try:
        head = json.loads(head_file().read_text())
        number, digest = int(head["number"]), str(head["digest"])
        first_id, last_id = (int(head.get(name, 0)) for name in ("first_id", "last_id"))  # an older head has none
    except (ValueError, KeyError, TypeError):
        return [Finding("head_unreadable", f"{head_file()} cannot be read.")]
    found = Seal.objects.filter(number=number).values_list("digest", flat=True).first()
    if found == digest:
        return []
    if found is not None:
        words = f"Seal {number} is not the one that was made here ({digest}), which closed {_rows(first_id, last_id)}."
        return [Finding("head_differs", words, number)]
    left = newest()
    first, rows = left["number"] + 1, _rows(max(left["last_id"], 0) + 1, last_id)
    which = f"Seal {number} is" if first >= number else f"Seals {first} to {number} are"
    words = f"{which} missing, and no seal closes {rows} any more: seal {number} was made here ({digest})."
    return [Finding("head_missing", words, first)]


def _rows(first: int, last: int) -> str:
    """`last` 0: not known."""
    if not last:
        return "its rows"
    return f"row {last}" if first >= last else f"rows {first} to {last}"


def accept_head() -> None:
    """From now on the newest seal is the head. For a database that was restored; the caller journals why."""
    head_file().unlink(missing_ok=True)


def _write_head(made: form.Seal) -> None:
    """A head that the database does not have any more is evidence: it stays. Of two that seal at once the newer one stays."""
    with (settings.ENV.var / "journal-head.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if head_findings() or _head_number() >= made["number"]:
            return
        fresh = head_file().with_suffix(".fresh")
        fresh.write_text(json.dumps({name: made[name] for name in HEAD}))
        fresh.replace(head_file())


def _head_number() -> int:
    """Of a head that can be read; 0 when there is none."""
    return int(json.loads(head_file().read_text())["number"]) if head_file().exists() else 0
