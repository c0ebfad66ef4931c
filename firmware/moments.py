"""Times as the wire and the database have them."""

from datetime import UTC, datetime, timedelta

CLOCKS_AGREE_WITHIN = timedelta(seconds=2)  # those of our own hosts


def moment(epoch_s: float) -> datetime:
    """Epoch seconds as a time."""
    return datetime.fromtimestamp(epoch_s, UTC)


def is_ahead(at: datetime | None, now: datetime, *, by: timedelta = timedelta(0)) -> bool:
    """Whether a time that was written down has not come yet (with `by`: is further off than that): the clock was set back since.

    How old what it stands by is, nobody knows any more; least of all is it fresh.
    """
    return at is not None and at - now > by + CLOCKS_AGREE_WITHIN
