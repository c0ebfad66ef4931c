"""No gaps: what changes an audited model in bulk tells the journal, in the same transaction. See robotctl.tests.gaps."""

from typing import Any

import pytest
from django.db import transaction

from accounts import journal
from accounts.models import JournalEntry, User
from robotctl.tests.gaps import Gap

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_update_that_tells_nothing_fails(people: Any) -> None:
    with pytest.raises(Gap, match=r"accounts/tests/test_gaps.py:\d+: User.objects.update\(\)"):
        User.objects.filter(username="alice").update(is_active=False)


def test_rows_made_in_bulk_that_tell_nothing_fail() -> None:
    with pytest.raises(Gap, match=r"User.objects.bulk_create\(\)"):
        User.objects.bulk_create([User(username="dora", role_id="viewer")])


def test_a_row_in_another_transaction_is_none(people: Any) -> None:
    with pytest.raises(Gap):
        with transaction.atomic():
            User.objects.filter(username="alice").update(is_active=False)
        journal.record("user.changed", person=people["alice"])


def test_a_row_in_the_same_transaction_will_do(people: Any) -> None:
    with transaction.atomic():
        User.objects.filter(username="alice").update(is_active=False)
        journal.record("user.changed", person=people["alice"])
    assert JournalEntry.objects.filter(verb="user.changed", person_id=people["alice"].pk).exists()
