"""Scheduled housekeeping. Nothing here decides a right: what has ended is refused whether or not these run."""

from celery import shared_task
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from accounts import journal, permissions
from accounts.models import ApiToken, Grant, WsTicket


@shared_task
def forget_expired() -> None:
    """Delete expired sessions, tokens and tickets."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    ApiToken.objects.filter(expiry__lt=now).delete()
    WsTicket.objects.filter(expires_at__lt=now).delete()


@shared_task
def end_grants() -> None:
    """Remove the grants that have ended, and their projection, and say so in the journal."""
    for grant in Grant.objects.filter(ends_at__lt=timezone.now()).select_related("content_type"):
        with transaction.atomic():
            permissions.withdraw(grant)
            journal.record("grant.ended", str(grant), reason="its time is over")
