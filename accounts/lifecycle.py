"""Start, end and upgrade of robotctl's processes, in the record."""

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction

from accounts import journal, refusals, seals
from accounts.models import JournalEntry

log = structlog.get_logger("robotctl.process")


def started(process: str) -> None:
    """`process` (web, poll, worker) is about to work. The first of another version says so. Raises nothing."""
    try:
        with transaction.atomic():
            journal.record_all([*_upgraded(), journal.entry("system.started", process, data=_version())])
    except (
        DatabaseError
    ) as error:  # the record has a gap here, and the log says so; robots are to be stopped all the same
        log.warning("process.start_not_recorded", process=process, error=str(error))


def stopped(process: str) -> None:
    """The last thing that a process does: its end is recorded, and nothing that it wrote waits unsealed. Raises nothing."""
    try:
        refusals.strangers.flush()
        journal.record("system.stopped", process, data=_version())
    except DatabaseError as error:
        log.warning("process.end_not_recorded", process=process, error=str(error))
    seals.close()


def _upgraded() -> list[JournalEntry]:
    before = JournalEntry.objects.filter(verb="system.started").order_by("-at", "-pk").values_list("data", flat=True)
    last = next((data["version"] for data in before[:1] if "version" in data), settings.VERSION)
    if last == settings.VERSION:
        return []
    return [journal.entry("system.upgraded", data={"before": last, "after": settings.VERSION})]


def _version() -> dict[str, str]:
    return {"version": settings.VERSION}
