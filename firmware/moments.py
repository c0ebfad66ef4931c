"""Times as the wire and the database have them."""

from datetime import UTC, datetime


def moment(epoch_s: float) -> datetime:
    """Epoch seconds as a time."""
    return datetime.fromtimestamp(epoch_s, UTC)
