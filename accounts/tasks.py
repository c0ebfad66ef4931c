"""Scheduled housekeeping. Nothing here decides a right: what has ended is refused whether or not these run."""

from datetime import timedelta

from axes.models import AccessAttempt
from celery import shared_task
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from accounts import archives, journal, journal_checks, lockout, permissions, seals
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
            journal.record(
                "grant.ended", str(grant), person=grant.user, robot=grant.on_robot, reason="its time is over"
            )


@shared_task
def seal_journal() -> None:
    """Close what was recorded since the last time."""
    seals.seal()


@shared_task
def check_journal() -> None:
    """Hold the newest seals, and the next part of all of them, against their rows."""
    journal_checks.check()


@shared_task
def archive_journal() -> None:
    """Move what is older than ROBOTCTL_JOURNAL_KEEP_DAYS to a file; 0 keeps everything."""
    days = settings.JOURNAL_KEEP_DAYS
    if days:
        archives.archive(before=timezone.now() - timedelta(days=days), reason=f"kept for {days} days")
