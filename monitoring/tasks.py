"""Scheduled monitoring."""

from celery import shared_task

from monitoring.models import Heartbeat

SCHEDULED_WORK = "scheduled-work"


@shared_task
def heartbeat() -> None:
    """Proves that beat and a worker are alive; `/health/ready` reads its age."""
    Heartbeat.beat(SCHEDULED_WORK)
