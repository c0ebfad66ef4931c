"""What the record says of a person's last days."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Max
from django.utils import timezone

from accounts.journal import iso
from accounts.models import JournalEntry, User

LATELY = timedelta(days=30)


def lately(user: User) -> dict[str, Any]:
    """`{"days","last_at","acts": [{"verb","outcome","count","last_at"}]}`, the most frequent first; times ISO-8601 or None."""
    rows = JournalEntry.objects.filter(actor_id=user.pk, at__gt=timezone.now() - LATELY).order_by()
    acts = list(rows.values("verb", "outcome").annotate(count=Count("pk"), last=Max("at")).order_by("-count", "verb"))
    told = [
        {"verb": act["verb"], "outcome": act["outcome"], "count": act["count"], "last_at": iso(act["last"])}
        for act in acts
    ]
    return {"days": LATELY.days, "last_at": iso(max((act["last"] for act in acts), default=None)), "acts": told}
