"""Starts, ends and upgrades of processes are in the record."""

from typing import Any

import pytest

from accounts import journal, lifecycle, seals
from accounts.models import JournalEntry

pytestmark = pytest.mark.django_db(transaction=True)


def verbs() -> list[tuple[str, str]]:
    return list(JournalEntry.objects.filter(verb__startswith="system.").order_by("pk").values_list("verb", "target"))


def test_a_process_tells_of_its_start_and_its_end_and_leaves_nothing_unsealed() -> None:
    lifecycle.started("poll")
    lifecycle.stopped("poll")
    assert verbs() == [("system.started", "poll"), ("system.stopped", "poll")]
    assert seals.tail().count == 0


def test_the_first_of_another_version_tells_of_the_upgrade(settings: Any) -> None:
    settings.VERSION = "0.1.0"
    lifecycle.started("web")
    settings.VERSION = "0.2.0"
    lifecycle.started("web")
    lifecycle.started("poll")
    (told,) = JournalEntry.objects.filter(verb="system.upgraded")
    assert told.data == {"before": "0.1.0", "after": "0.2.0"}


def test_the_first_start_of_all_is_no_upgrade() -> None:
    journal.record("user.created")
    lifecycle.started("web")
    assert not JournalEntry.objects.filter(verb="system.upgraded").exists()
