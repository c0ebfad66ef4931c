"""What somebody asked for: by whom, why, by which request, and the key that makes a repeated request the same one."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class Requested(models.Model):
    """The part that commands and sequences have in common: see `commands.same_key`."""

    code = models.CharField(max_length=40, null=True)  # noqa: DJ001 - null: nothing to say
    detail = models.CharField(max_length=500, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    request_id = models.CharField(max_length=64, blank=True)
    idempotency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001
    body_digest = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True
