"""Browsers in which somebody is signed in."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class SignIn(models.Model):
    """One browser session, so that a person sees where they are signed in, and can end it. Gone with its session."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)
    guesses = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Passwords tried while it was locked."
    )

    class Meta:
        ordering = ["-last_seen_at"]

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at}"
