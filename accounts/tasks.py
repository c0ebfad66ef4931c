"""Scheduled housekeeping. Nothing here decides a right: what has ended is refused whether or not these run."""

from axes.models import AccessAttempt
from celery import shared_task
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from accounts import journal, lockout, permissions
from accounts.models import ApiToken, Grant, SignIn, WsTicket


@shared_task
def forget_expired() -> None:
    """Delete expired sessions, tokens and tickets, and failed sign-ins that do not count any more."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    SignIn.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    AccessAttempt.objects.filter(attempt_time__lt=now - lockout.REMEMBERED).delete()
    ApiToken.objects.filter(expiry__lt=now).delete()
    WsTicket.objects.filter(expires_at__lt=now).delete()


@shared_task
def end_grants() -> None:
    """Remove the grants that have ended, and their projection, and say so in the journal."""
    for grant in Grant.objects.filter(ends_at__lt=timezone.now()).select_related("content_type"):
        with transaction.atomic():
            permissions.withdraw(grant)
            journal.record("grant.ended", str(grant), person=grant.user, reason="its time is over")
