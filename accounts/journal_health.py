"""How the record itself is: for the API, the pages and `/health/ready`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core import checks
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from accounts import journal_guard, seals
from accounts.journal import iso
from accounts.journal_models import JournalCheck, Seal

MOST_WORDS = 20  # findings that a line of `/health/ready` names


def state() -> dict[str, Any]:
    """`{"seals", "last_seal_at", "tail", "tail_age_s", "checked_at", "whole_checked_at", "findings", "triggers_missing",
    "weaknesses"}`

    `seals`: how many there are; `tail`: rows that are not sealed yet; `findings` as in accounts.examine; times ISO-8601;
    `weaknesses`: why the database does not guard the journal, in sentences.
    """
    last, tail, check = Seal.objects.defer("witness").first(), seals.tail(), JournalCheck.objects.first()
    known = list(check.findings) if check else []
    told = {(one["kind"], one["seal"]) for one in known}
    head = [one.as_dict() for one in seals.head_findings()]
    return {
        "seals": last.number if last else 0,
        "last_seal_at": iso(last.sealed_at) if last else None,
        "tail": tail.count,
        "tail_age_s": round(tail.age_s(timezone.now()), 1),
        "checked_at": iso(check.ended_at) if check else None,
        "whole_checked_at": iso(_whole_checked_at(check)),
        "findings": [*(one for one in head if (one["kind"], one["seal"]) not in told), *known],
        "triggers_missing": journal_guard.missing(),
        "weaknesses": journal_guard.weaknesses(),
    }


def wrong(state: dict[str, Any]) -> list[str]:
    """What is not as it should be, in sentences; none when all is well."""
    words = [one["words"] for one in state["findings"][:MOST_WORDS]]
    if len(state["findings"]) > MOST_WORDS:
        words.append(f"And {len(state['findings']) - MOST_WORDS} more.")
    return [*words, *state["weaknesses"]]


def _whole_checked_at(check: JournalCheck | None) -> datetime | None:
    """When a check last came to the newest seal of its time."""
    if check is None:
        return None
    if not Seal.objects.filter(number__gt=check.last_seal, sealed_at__lt=check.began_at).exists():
        return check.ended_at
    began = JournalCheck.objects.filter(first_seal=1).first()
    ended = JournalCheck.objects.filter(pk__lt=began.pk).first() if began else None
    return ended.ended_at if ended else None


@checks.register(checks.Tags.database)
def guard_is_there(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """`manage.py check --database default`: whether the database refuses to change the journal."""
    weak: list[str] = []
    for alias in databases or ():
        try:
            if ("accounts", "0007_journal") in MigrationRecorder(connections[alias]).applied_migrations():
                weak += journal_guard.weaknesses(connections[alias])
        except DatabaseError:
            continue  # it says so itself, louder
    hint = "Whoever did that may have changed the record: run `manage.py verify_journal`."
    return [checks.Warning(" ".join(weak), hint=hint, id="accounts.W001")] if weak else []
