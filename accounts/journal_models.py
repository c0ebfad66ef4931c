"""The journal's tables: rows, the places they came from, seals, archives, and what checks have found."""

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone


class JournalOrigin(models.Model):
    """Where somebody acted from, apart from the journal, so that a person can be forgotten and the record stay whole."""

    key = models.CharField(max_length=64, unique=True)
    person_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)

    def __str__(self) -> str:
        return self.address


class JournalEntry(models.Model):
    """One consequential act. Append-only; ids commit in order; no foreign keys, so that nothing can cascade into it.

    People stand here as numbers only. Their names are in the users' table, their addresses in JournalOrigin; both can be erased.
    """

    origin: Any  # context.Origin, until the row is written and holds its id

    class Outcome(models.TextChoices):
        OK = "ok"
        DENIED = "denied"
        FAILED = "failed"
        UNKNOWN = "unknown"

    at = models.DateTimeField(help_text="When it happened.")
    late = models.BooleanField(default=False, help_text="Recorded after the fact: the database was away.")
    actor_id = models.BigIntegerField(null=True, blank=True, help_text="Who did it; null: the system.")
    person_id = models.BigIntegerField(null=True, blank=True, help_text="Whom it was about.")
    origin_id = models.BigIntegerField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    verb = models.CharField(max_length=60)
    target = models.CharField(max_length=200, blank=True)
    robot = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.OK)
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict, blank=True)

    SEALED: ClassVar[tuple[str, ...]] = (
        "id",
        "at",
        "late",
        "actor_id",
        "person_id",
        "origin_id",
        "request_id",
        "verb",
        "target",
        "robot",
        "outcome",
        "reason",
        "data",
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "journal entries"
        # Each search has one of these to walk along, newest first; see accounts.journal_search.
        indexes = [
            models.Index(fields=["-at", "-id"], name="journal_at"),
            models.Index(fields=["robot", "-at", "-id"], name="journal_robot"),
            models.Index(fields=["verb", "-at", "-id"], name="journal_verb"),
            models.Index(fields=["robot", "verb", "-at", "-id"], name="journal_robot_verb"),
            models.Index(fields=["actor_id", "-at", "-id"], name="journal_actor"),
            models.Index(fields=["person_id", "-at", "-id"], name="journal_person"),
            models.Index(fields=["target", "-at", "-id"], name="journal_target"),
            models.Index(fields=["outcome", "-at", "-id"], name="journal_outcome"),
            models.Index(fields=["request_id", "-at", "-id"], name="journal_request"),
            models.Index(fields=["-at", "-id"], name="journal_late", condition=models.Q(late=True)),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.target}".strip()


class Seal(models.Model):
    """Closes the rows after the last seal: their hash, chained to the seal before, signed. Append-only like the rows.

    `witness` holds, for each row, its id (8 bytes) and the first 8 bytes of its SHA-256: it names the row that was altered.
    """

    number = models.BigIntegerField(primary_key=True)
    sealed_at = models.DateTimeField(default=timezone.now)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField(unique=True)
    count = models.IntegerField()
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    witness = models.BinaryField()
    key = models.CharField(max_length=44)
    signature = models.CharField(max_length=88)

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"seal {self.number}"


class JournalArchive(models.Model):
    """A range of whole seals whose rows were moved to a file. Signed: otherwise whoever deletes rows would add one of these."""

    first_seal = models.BigIntegerField()
    last_seal = models.BigIntegerField(unique=True)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    count = models.BigIntegerField()
    file = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=timezone.now)
    signature = models.CharField(max_length=88)

    class Meta:
        ordering = ["-last_seal"]

    def __str__(self) -> str:
        return self.file


class JournalCheck(models.Model):
    """One check of the seals from `first_seal` to `last_seal`, and what was known to be wrong when it ended, also elsewhere:
    `findings` [{"kind", "id", "seal", "words"}], none when all is whole."""

    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    first_seal = models.BigIntegerField()
    last_seal = models.BigIntegerField()
    rows = models.BigIntegerField()
    findings = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"seals {self.first_seal} to {self.last_seal}"


class JournalMaintenance(models.Model):
    """While a transaction holds a row here, the triggers let it delete from the journal. See accounts.journal_guard."""

    reason = models.CharField(max_length=500)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.reason
