"""The Celery app: scheduled work only. No task takes a robot action as its argument, none ever holds a robot's socket."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "robotctl.settings")

app = Celery("robotctl")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """The settings have set it up. Celery would put the root logger to its own level, and the seals' heads would not be in the log."""


@worker_ready.connect
def started(**_: Any) -> None:
    from accounts import lifecycle

    lifecycle.started("worker")


@worker_shutdown.connect
def stopped(**_: Any) -> None:
    from accounts import lifecycle

    lifecycle.stopped("worker")
