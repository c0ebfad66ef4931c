"""Guesses at passwords and codes that are being looked at."""

from django.db import models
from django.utils import timezone


class Guess(models.Model):
    """Written before a password or a code is compared, gone when that is done: so every process knows of it."""

    counted = models.CharField(max_length=64, db_index=True, help_text="The name, as a keyed hash.")
    address = models.CharField(max_length=45, blank=True)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"guess since {self.at}"
