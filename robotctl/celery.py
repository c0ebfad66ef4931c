"""The Celery app: scheduled work only. No task takes a robot action as its argument, none ever holds a robot's socket."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "robotctl.settings")

app = Celery("robotctl")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
