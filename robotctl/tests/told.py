"""What the journal shows of a row."""

from accounts import journal
from accounts.models import JournalEntry, User


def about(row: JournalEntry) -> str:
    """The target as people see it, with the name of whom the row is about."""
    return str(journal.as_dicts([row])[0]["target"])


def number_of(name: str) -> int:
    return User.objects.get(username=name).pk
