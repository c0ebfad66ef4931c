"""The journal is checked all the time: the newest seals at every turn, and of all the others the next part."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import journal, seals
from accounts.journal_models import JournalCheck
from accounts.journal_walk import walk

BUDGET_S = 0.3  # of every ten seconds; some 15,000 rows
NEWEST = 5  # seals that are looked at every time
KEPT = 200  # checks
MOST = 200  # findings that are kept of what is known
MOST_TOLD = 20  # findings in one row of the journal
Known = list[dict[str, Any]]


def check() -> JournalCheck:
    """One turn: what is known to be wrong is kept with it, and what is new in that is told to the journal, once."""
    began, before, newest = timezone.now(), JournalCheck.objects.first(), seals.newest()["number"]
    first = before.last_seal + 1 if before and before.last_seal < newest else 1
    part = walk(from_seal=first, budget_s=BUDGET_S)
    findings = [*seals.head_findings(), *part.report.findings]
    recent = max(newest - NEWEST + 1, 1)
    if recent > part.to_seal or recent < first:
        findings += walk(from_seal=recent, budget_s=BUDGET_S).report.findings
    known = before.findings if before else []
    still = [one for one in known if _elsewhere(one, first, part.to_seal, recent)]
    now_known = _once([*(one.as_dict() for one in findings), *still])
    with transaction.atomic():
        made = JournalCheck.objects.create(
            began_at=began,
            ended_at=timezone.now(),
            first_seal=first,
            last_seal=part.to_seal,
            rows=part.report.rows,
            findings=now_known[:MOST],
        )
        _forget_old(made)
        _tell(now_known, known)
    return made


def _elsewhere(one: dict[str, Any], first: int, last: int, recent: int) -> bool:
    """Whether a finding of before is about seals that were not looked at now."""
    seal = one["seal"]
    return seal is not None and not one["kind"].startswith("head_") and not first <= seal <= last and seal < recent


def _once(findings: Known) -> Known:
    return list({(one["kind"], one["seal"], one["id"]): one for one in findings}.values())


def identity(one: dict[str, Any]) -> tuple[Any, ...]:
    """What is told once. Of a row it depends on the rows looked at with it whether it was altered or moved: it is one finding."""
    return ("row", one["id"]) if one["id"] is not None else (one["kind"], one["seal"])


def _forget_old(made: JournalCheck) -> None:
    oldest = JournalCheck.objects.values_list("pk", flat=True)[KEPT : KEPT + 1].first()
    if oldest is not None:
        JournalCheck.objects.filter(pk__lte=oldest, pk__lt=made.pk).delete()


def _tell(now_known: Known, known: Known) -> None:
    told = {identity(one) for one in known}
    new = list({identity(one): one for one in now_known if identity(one) not in told}.values())
    if new:
        data = {"findings": new[:MOST_TOLD], "count": len(new)}
        journal.record("journal.broken", outcome=journal.Outcome.FAILED, data=data)
