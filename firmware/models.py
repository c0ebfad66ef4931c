"""Robots, what they last said, and what they were told."""

import json
import re
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models, transaction
from django.utils import timezone

from firmware import credentials, network, parameters, profile
from firmware.breaker import Breaker
from firmware.equipment_models import DesiredSetting as DesiredSetting
from firmware.equipment_models import Equipment as Equipment
from firmware.poll_models import Poller as Poller
from firmware.poll_models import PollLease as PollLease
from firmware.request_models import Requested
from firmware.sequence_models import Sequence as Sequence
from firmware.statuses import CommandStatus as CommandStatus
from firmware.statuses import StopStatus as StopStatus
from robotctl.problems import Problem

SHORTEST_POLL_S = 0.5
SHORTEST_POLL_TESTING_S = 0.05


def check_profile(name: str) -> None:
    if name not in profile.available():
        raise ValidationError(f"There is no profile {name!r}; installed are {', '.join(profile.available())}.")


def check_poll_interval(seconds: float) -> None:
    shortest = SHORTEST_POLL_TESTING_S if settings.ENV.testing else SHORTEST_POLL_S
    if seconds < shortest:
        raise ValidationError(f"Read a robot at most every {shortest} s.")


ROBOT_PERMISSIONS: list[tuple[str, Any]] = [
    (f"{verb}_robot", f"Can {verb.replace('_', ' ')}")
    for verb in ("stop", "command", "jog", "reset", "configure", "register_write", "break_lease", "approve")
]


class Site(models.Model):
    """A place with a rail on which robots stand."""

    name = models.CharField(max_length=80, unique=True)
    rail_start_m = models.FloatField(default=0.0)
    rail_end_m = models.FloatField(default=100.0)

    class Meta:
        ordering = ["name"]
        permissions = [("view_robot", "Can view"), *ROBOT_PERMISSIONS]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.rail_end_m <= self.rail_start_m:
            raise ValidationError({"rail_end_m": "The rail must end after it starts."})


class Robot(models.Model):
    """A machine that we may command. Its slug never returns: a robot that goes is retired, not deleted."""

    slug = models.SlugField(
        max_length=40, unique=True, validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*$", "Use a-z, 0-9 and -.")]
    )
    name = models.CharField(max_length=80)
    profile = models.CharField(max_length=40, validators=[check_profile])
    base_url = models.CharField(max_length=200, validators=[network.check_base_url])
    sealed_credentials = models.TextField(blank=True, editable=False)
    settings = models.JSONField(default=dict, blank=True, help_text="What its profile asks of each robot of its kind.")
    poll_interval_s = models.FloatField(default=1.0, validators=[check_poll_interval, MaxValueValidator(60)])
    enabled = models.BooleanField(default=True)
    simulated = models.BooleanField(default=False, help_text="Not a real machine. Shown wherever the robot is.")
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.SET_NULL, related_name="robots")
    place = models.CharField(max_length=80, blank=True, help_text="Where on its site: rail, bay, dock.")
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    GRANTED_WHILE: ClassVar = {"retired_at": None}
    GRANTED_THROUGH: ClassVar = {"firmware.site": "site", "firmware.robotgroup": "groups"}

    class Meta:
        ordering = ["slug"]
        permissions = ROBOT_PERMISSIONS

    def __str__(self) -> str:
        return self.slug

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new robot gets its state row in the same transaction."""
        with transaction.atomic():
            super().save(*args, **kwargs)
            RobotState.objects.get_or_create(robot=self)

    def clean(self) -> None:
        if self.simulated and settings.ENV.production:
            raise ValidationError({"simulated": "A production system holds no simulated robots."})
        wanted = profile.load_or_unusable(self.profile).settings
        try:
            parameters.check(wanted, self.settings, "settings")
        except Problem as problem:
            raise ValidationError({"settings": str(problem.detail)}) from problem
        for name, value in self.settings.items():  # they go into paths and expressions
            if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,80}", str(value)):
                raise ValidationError({"settings": f"{name}: use A-Z, a-z, 0-9 and . : _ - only."})

    @property
    def credentials(self) -> dict[str, str]:
        return credentials.unseal(self.sealed_credentials)

    @credentials.setter
    def credentials(self, clear: dict[str, str]) -> None:
        self.sealed_credentials = credentials.seal(clear)

    @property
    def wiring(self) -> tuple[str, ...]:
        """What a client is built from; when it changes, a new client is due."""
        settings_ = json.dumps(self.settings, sort_keys=True)
        return self.base_url, self.profile, profile.version(self.profile), self.sealed_credentials, settings_


class RobotGroup(models.Model):
    """Robots that rights are granted on together. Whoever changes it rings with `permissions.rights_changed`."""

    name = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=80, blank=True)
    robots = models.ManyToManyField(Robot, blank=True, related_name="groups")

    class Meta:
        ordering = ["name"]
        permissions = [("view_robot", "Can view"), *ROBOT_PERMISSIONS]

    def __str__(self) -> str:
        return self.name


class RobotState(models.Model):
    """The one row of truth about a robot: what it last said, and what we hold against it.

    Every change raises `seq`, so that a document made from the row at `seq` is the same whoever makes it.
    `readings` maps a field to [value, epoch seconds at which the read that gave it began].
    """

    robot = models.OneToOneField(Robot, primary_key=True, on_delete=models.CASCADE, related_name="state")
    seq = models.BigIntegerField(default=0)
    readings = models.JSONField(default=dict)
    last_contact_at = models.DateTimeField(null=True)
    last_attempt_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    last_error_code = models.CharField(max_length=40, blank=True)
    failures = models.IntegerField(default=0)
    successes = models.IntegerField(default=0)
    recorded_mode = models.CharField(max_length=12, default="offline")
    restarted_at = models.DateTimeField(null=True)
    restart_told_by = models.JSONField(default=list)  # the counters that told of it: see restarts.py

    recent = models.JSONField(default=list)  # latencies of the last requests: see link.py
    last_success_at = models.DateTimeField(null=True)
    clock_offset_s = models.FloatField(null=True)
    breaker_opened_at = models.DateTimeField(null=True)
    breaker_reason = models.CharField(max_length=300, blank=True)
    breaker_probes = models.IntegerField(default=0)
    next_probe_at = models.DateTimeField(null=True)

    lease_user_id = models.BigIntegerField(null=True)  # see control.py
    lease_holder = models.CharField(max_length=150, blank=True)
    lease_since = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    sequence = models.JSONField(null=True)  # the one that runs now: see sequences.summary
    approvals_waiting = models.IntegerField(default=0)

    stop_latched = models.BooleanField(default=False)
    stop_status = models.CharField(max_length=14, null=True, choices=StopStatus.choices)  # noqa: DJ001 - null: no stop
    stop_by = models.CharField(max_length=150, null=True)  # noqa: DJ001
    stop_at = models.DateTimeField(null=True)
    stop_reason = models.CharField(max_length=500, null=True)  # noqa: DJ001
    stop_sent_at = models.DateTimeField(null=True)
    stop_answered_at = models.DateTimeField(null=True)
    stop_confirmed_at = models.DateTimeField(null=True)
    stop_left_at = models.DateTimeField(null=True)
    stop_attempts = models.IntegerField(default=0)
    resetting_until = models.DateTimeField(null=True)
    quiet_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.robot_id} at {self.seq}"

    @property
    def breaker(self) -> Breaker:
        return Breaker(self.breaker_opened_at, self.breaker_reason, self.breaker_probes, self.next_probe_at)

    @breaker.setter
    def breaker(self, held: Breaker) -> None:
        self.breaker_opened_at, self.breaker_reason = held.opened_at, held.reason
        self.breaker_probes, self.next_probe_at = held.probes, held.next_probe_at

    def leased(self, now: datetime) -> bool:
        """Whether somebody holds control of the robot."""
        return self.lease_until is not None and self.lease_until > now

    def leased_by(self, user_id: int | None, now: datetime) -> bool:
        return self.leased(now) and self.lease_user_id == user_id

    def leased_to_another(self, user_id: int, now: datetime) -> bool:
        return self.leased(now) and self.lease_user_id != user_id

    def observed(self, field: str) -> tuple[Any, datetime | None]:
        """The last value of `field` and when it was observed."""
        found = self.readings.get(field)
        return (found[0], datetime.fromtimestamp(found[1], timezone.get_default_timezone())) if found else (None, None)


class Transition(models.Model):
    """The link's mode changed: old, new, why."""

    robot = models.ForeignKey(Robot, on_delete=models.CASCADE, related_name="transitions")
    at = models.DateTimeField()
    old = models.CharField(max_length=12)
    new = models.CharField(max_length=12)
    reason = models.CharField(max_length=300)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["robot", "-id"])]

    def __str__(self) -> str:
        return f"{self.robot_id}: {self.old} → {self.new}"


class Command(Requested):
    """One request to one robot, and what became of it. Every step is one conditional update and one journal row."""

    robot = models.ForeignKey(Robot, on_delete=models.PROTECT, related_name="commands")
    name = models.CharField(max_length=40)
    kind = models.CharField(max_length=10)
    params = models.JSONField(default=dict)
    status = models.CharField(max_length=20, choices=CommandStatus.choices, default=CommandStatus.ACCEPTED)
    deadline_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    carrier = models.CharField(max_length=150, blank=True, help_text="The process that carries it out: see presence.")
    job = models.CharField(max_length=200, blank=True, help_text="The robot's own name for what it does.")
    sequence = models.ForeignKey(Sequence, null=True, on_delete=models.PROTECT, related_name="commands")
    step = models.IntegerField(null=True)
    hold_until = models.DateTimeField(null=True)  # of a hold-to-run: let go when this has passed
    released_at = models.DateTimeField(null=True)
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=150, blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=150, blank=True)
    resolution = models.CharField(max_length=500, blank=True)

    Status: ClassVar = CommandStatus

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["robot", "-id"]),
            models.Index(fields=["hold_until"], name="command_held", condition=models.Q(released_at=None)),
            models.Index(fields=["robot"], name="command_open", condition=models.Q(ended_at=None)),
            models.Index(
                fields=["robot"], name="command_to_arrive", condition=models.Q(status="confirmed", done_at=None)
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["robot", "requested_by", "idempotency_key"], name="one_command_per_key")
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"

    def advance(self, expected: str, status: str, **changes: Any) -> bool:
        """Go from `expected` to `status`, if it still stands there. The conditional update is the lock."""
        changes["status"] = status
        if type(self).objects.filter(pk=self.pk, status=expected, ended_at=None).update(**changes) != 1:
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True
