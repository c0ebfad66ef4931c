"""What robotctl knows about its own processes."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone


class Heartbeat(models.Model):
    """The last sign of life of scheduled work: beat sent it, a worker did it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"

    @classmethod
    def beat(cls, name: str) -> None:
        cls.objects.update_or_create(name=name, defaults={"at": timezone.now()})

    @classmethod
    def age_of(cls, name: str, now: datetime) -> timedelta | None:
        row = cls.objects.filter(name=name).first()
        return None if row is None else now - row.at
