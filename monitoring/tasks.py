"""Scheduled monitoring."""

from celery import shared_task

from monitoring import recording, rollups, sampling
from monitoring.models import Heartbeat

SCHEDULED_WORK = "scheduled-work"


@shared_task
def heartbeat() -> None:
    """Proves that beat and a worker are alive; `/health/ready` reads its age."""
    Heartbeat.beat(SCHEDULED_WORK)


@shared_task
def sample_host() -> None:
    """The host on which this worker runs, under its own name."""
    recording.record(sampling.this_host.measured())


@shared_task
def roll_up() -> None:
    """Minutes, quarters of an hour and hours of the samples that are new."""
    rollups.roll_up()


@shared_task
def prune_samples() -> None:
    """What is older than its resolution is kept."""
    rollups.prune()
