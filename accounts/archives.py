"""Retention: whole sealed ranges leave the journal for files that verify by themselves. The seals stay."""

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts import journal, journal_guard, sealed_rows, seals, verify
from accounts import seal_format as form
from accounts.examine import Finding
from accounts.journal_models import JournalArchive, JournalEntry, Seal
from robotctl.problems import Problem

SIGNED = ("first_seal", "last_seal", "first_id", "last_id", "count", "file", "sha256")
BATCH = 2_000  # rows that are deleted in one transaction


def folder() -> Path:
    path: Path = settings.ENV.var / "archive"
    return path


class Known:
    """`known(seal)`: whether the rows of this seal were moved to a file, by us."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def __call__(self, seal: form.Seal) -> bool:
        if not self._holds(seal["number"]):
            self.ranges = [(one.first_seal, one.last_seal) for one in JournalArchive.objects.all() if is_signed(one)]
        return self._holds(seal["number"])

    def _holds(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.ranges)


def archive(*, before: datetime, reason: str) -> JournalArchive | None:
    """Move the rows of all seals that were made before this moment. None when there is nothing to move.

    Raises Problem 400 without a reason, 409 `journal_broken` when what is to be moved is not intact.
    """
    if not reason.strip():
        raise Problem(400, "invalid", "Archiving the journal needs a reason.")
    _finish_deleting(reason)
    last = JournalArchive.objects.first()
    chosen = Seal.objects.filter(sealed_at__lt=before, number__gt=last.last_seal if last else 0).order_by("number")
    first, newest = chosen.first(), chosen.last()
    if first is None or newest is None:
        return None
    path = _write(first, newest)
    with transaction.atomic():
        made = _entered(first, newest, path)
        data = {name: getattr(made, name) for name in SIGNED}
        journal.record("journal.archived", made.file, reason=reason, data=data)
    _finish_deleting(reason)
    return made


def is_signed(made: JournalArchive) -> bool:
    """Whether one of the trusted keys signed it."""
    for key in seals.trusted():
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
            public.verify(base64.b64decode(made.signature), _signed_bytes(made))
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


@dataclass
class FileCheck:
    """What the archives' files say: `missing` is no finding, they may lie elsewhere."""

    findings: list[Finding]
    missing: list[str]


def check_files() -> FileCheck:
    """Whether each archive is signed by us, and its file, where it is here, the one that was written."""
    check = FileCheck([], [])
    for made in JournalArchive.objects.order_by("first_seal"):
        path = folder() / Path(made.file).name
        if not is_signed(made):
            words = f"The archive {made.file} is not signed by a trusted key."
            check.findings.append(Finding("archive_altered", words, made.first_seal))
        elif not path.exists():
            check.missing.append(made.file)
        elif sha256_of(path) != made.sha256:
            check.findings.append(Finding("archive_altered", f"The file {path} was altered.", made.first_seal))
    return check


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _signed_bytes(made: JournalArchive) -> bytes:
    return json.dumps(["robotctl archive", 1, *(getattr(made, name) for name in SIGNED)]).encode()


def _entered(first: Seal, newest: Seal, path: Path) -> JournalArchive:
    chosen = Seal.objects.filter(number__range=(first.number, newest.number))
    made = JournalArchive(
        first_seal=first.number,
        last_seal=newest.number,
        first_id=first.first_id,
        last_id=newest.last_id,
        count=chosen.aggregate(rows=Sum("count"))["rows"],
        file=path.name,
        sha256=sha256_of(path),
    )
    made.signature = base64.b64encode(seals.private_key().sign(_signed_bytes(made))).decode()
    made.save()
    return made


def _write(first: Seal, newest: Seal) -> Path:
    """The file, written whole or not at all, and read back."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder() / f"journal-{first.number}-{newest.number}.jsonl.gz"
    fresh = path.with_name(path.name + ".part")
    with fresh.open("wb") as raw:
        os.fchmod(raw.fileno(), 0o600)
        with gzip.open(raw, "wb") as file:
            file.writelines(map(form.as_bytes, _lines(first, newest)))
        raw.flush()
        os.fsync(raw.fileno())
    words = _wrong(fresh, (first.number, newest.number))
    if words is not None:
        fresh.unlink()
        raise Problem(409, "journal_broken", f"What is to be archived is not intact, so it stays: {words}")
    fresh.replace(path)
    descriptor = os.open(folder(), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def _wrong(path: Path, expected: tuple[int, int]) -> str | None:
    """What is wrong with a file that was just written; None: nothing."""
    try:
        report = verify.verify(path, seals.trusted()).report
    except verify.NotAnExport as error:
        return str(error)
    if report.intact and (report.first_seal, (report.last or {}).get("number")) == expected:
        return None
    return "; ".join(one.words for one in report.findings[:5])


def _lines(first: Seal, newest: Seal) -> Iterator[str]:
    out, exported_at, told = (
        form.File(),
        sealed_rows.timestamp(timezone.now()),
        {"seals": [first.number, newest.number]},
    )
    yield out.line(
        form.head_line(exported_at=exported_at, filtered_by=told, complete=True, public_keys=seals.trusted())
    )
    before = Seal.objects.filter(number=first.number - 1).values_list("last_id", flat=True).first()
    after, rows, number = before if before is not None else -(2**63), 0, first.number - 1
    while found := sealed_rows.read_seals(Seal.objects.filter(number__gt=number, number__lte=newest.number), limit=100):
        for seal in found:
            for row in sealed_rows.read(JournalEntry.objects.filter(pk__gt=after, pk__lte=seal["last_id"])):
                yield out.line(form.row_line(row))
                rows += 1
            yield out.line(form.seal_line(seal))
            after, number = seal["last_id"], seal["number"]
    yield out.end(seals.private_key(), rows=rows, seals=newest.number - first.number + 1, unsealed=0)


def _finish_deleting(reason: str) -> None:
    """Delete what is archived, in short transactions. What a crash left is deleted by the next run."""
    for made in JournalArchive.objects.order_by("first_seal"):
        rows = JournalEntry.objects.filter(pk__gte=made.first_id, pk__lte=made.last_id).order_by("pk")
        while is_signed(made) and (chosen := list(rows.values_list("pk", flat=True)[:BATCH])):
            with journal_guard.maintenance(f"{made.file}: {reason}"):
                JournalEntry.objects.filter(pk__range=(made.first_id, chosen[-1])).delete()
