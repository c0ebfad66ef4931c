"""People, what they may do, and the record of what was done."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser, Group
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from knox.models import AbstractAuthToken, AuthTokenManager

from accounts import names, roles
from accounts.factor_models import Authenticator as Authenticator
from accounts.guess_models import Guess as Guess
from accounts.journal_models import JournalArchive as JournalArchive
from accounts.journal_models import JournalCheck as JournalCheck
from accounts.journal_models import JournalEntry as JournalEntry
from accounts.journal_models import JournalMaintenance as JournalMaintenance
from accounts.journal_models import JournalOrigin as JournalOrigin
from accounts.journal_models import Seal as Seal
from accounts.session_models import SignIn as SignIn


class Role(models.Model):
    """A named set of rights. A role holds its own permissions and its parent's."""

    name = models.SlugField(max_length=40, primary_key=True)
    title = models.CharField(max_length=80)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    permissions = models.JSONField(default=list, blank=True, help_text="Own permissions; the parent's are inherited.")
    mfa_required = models.BooleanField(
        "asks for a second factor", default=False, help_text="Who has this role signs in with a second factor."
    )
    asks_factor = models.BooleanField(default=False, editable=False, help_text="It requires one, or inherits that.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        if self._state.adding and self.pk in roles.ADDRESSES:
            raise ValidationError({"name": "This name is taken by an address."})
        if not isinstance(self.permissions, list) or not all(isinstance(one, str) for one in self.permissions):
            raise ValidationError({"permissions": "Give a list of the names of permissions."})
        unknown = sorted(set(self.permissions) - set(roles.ACTIONS))
        if unknown:
            raise ValidationError({"permissions": f"Unknown: {', '.join(unknown)}."})
        ancestor, met = self.parent, {self.pk}
        while ancestor is not None:
            if ancestor.pk in met:
                raise ValidationError({"parent": "A role cannot inherit from itself."})
            met.add(ancestor.pk)
            ancestor = ancestor.parent

    @classmethod
    def table(cls) -> dict[str, tuple[str | None, frozenset[str]]]:
        """Every role's parent and own rights, in one query."""
        rows = cls.objects.values_list("name", "parent_id", "permissions")
        return {name: (parent, frozenset(own)) for name, parent, own in rows}


class Users(BaseUserManager["User"]):
    """Makes people, with roles instead of flags."""

    def create_user(self, username: str, email: str | None = None, password: str | None = None, **extra: Any) -> "User":
        user = self.model(username=self.model.normalize_username(username), email=self.normalize_email(email), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra: Any
    ) -> "User":
        """`manage.py createsuperuser` makes an administrator: a role like any other, not a flag that skips checks.

        Raises ValidationError for a name that nobody may have; the command says it.
        """
        self.model(username=username).clean()
        return self.create_user(username, email, password, role_id=roles.ADMIN, **extra)


class User(AbstractUser):  # type: ignore[django-manager-missing] # knox has no types
    """A person. What they may do comes from the role and from grants only: there is no superuser."""

    role = models.ForeignKey(Role, on_delete=models.PROTECT, default=roles.GUEST, related_name="users")
    must_change_password = models.BooleanField(default=False, help_text="Before anything else but stop.")
    links_void = models.IntegerField(default=0, editable=False, help_text="Raised: links issued before are void.")
    password_changed_at = models.DateTimeField(null=True, blank=True, editable=False)

    limits = roles.Limits()  # of the API token that the request came with
    signed_in_until: datetime | None = None  # when that token, or the browser's session, ends
    is_superuser = False  # rights come from roles and grants; this flag of Django's would go round both
    is_staff = property(lambda self: self.may_enter_admin)

    objects: ClassVar[Users] = Users()  # type: ignore[assignment]

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"

    def set_password(self, raw_password: str | None) -> None:
        """Whoever sets a password, it is dated, and the duty to change it is done. An administrator lays it on anew."""
        super().set_password(raw_password)
        self.password_changed_at, self.must_change_password = timezone.now(), False

    def clean(self) -> None:
        """A name is looked at when it is given: whoever has one keeps it."""
        super().clean()  # normalises it
        if not type(self).objects.filter(pk=self.pk, username=self.username).exists():
            names.check(self.username, type(self).objects.exclude(pk=self.pk).values_list("username", flat=True))

    @property
    def may_enter_admin(self) -> bool:
        """Whether the admin holds anything for this person; every page of it asks accounts.permissions again."""
        rights = roles.effective(self.role_id or roles.GUEST, Role.table())
        return self.is_active and bool(rights & roles.ADMIN_SITE)


class GrantQuerySet(models.QuerySet["Grant"]):
    def active(self, now: datetime) -> "GrantQuerySet":
        return self.open(now).filter(starts_at__lte=now)

    def open(self, now: datetime) -> "GrantQuerySet":
        """Those that are active, and those that begin later."""
        return self.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now))

    def held_by(self, user: User) -> "GrantQuerySet":
        return self.filter(Q(user=user) | Q(group__user=user))

    def on(self, *objects: models.Model) -> "GrantQuerySet":
        wanted = Q(pk__in=[])
        for obj in objects:
            wanted |= Q(content_type=ContentType.objects.get_for_model(obj), object_id=str(obj.pk))
        return self.filter(wanted)


class Grant(models.Model):
    """A role on one object, for a person or a group, optionally from/until. Guardian's rows are its projection."""

    role = models.ForeignKey(Role, on_delete=models.PROTECT)
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="grants")
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="grants")
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.CharField(max_length=40)
    target = GenericForeignKey("content_type", "object_id")
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    granted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["content_type", "object_id"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, group__isnull=True) | Q(user__isnull=True, group__isnull=False),
                name="grant_for_a_user_or_a_group",
            )
        ]

    def __str__(self) -> str:
        group = f" for the group {self.group}" if self.group_id else ""
        what = self.on_robot or (self.object_id if self.target is None else str(self.target))
        return f"{self.role_id} on {self.content_type.model} {what}{group}"

    @property
    def on_robot(self) -> str:
        """The slug of the robot that it is on; empty when it is on something else, which has none."""
        return str(getattr(self.target, "slug", ""))

    def clean(self) -> None:
        if (self.user is None) == (self.group is None):
            raise ValidationError({"user": "Give a person or a group, one of the two."})
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": "Must be after from."})
        if self.ends_at is not None and self.ends_at <= timezone.now():
            raise ValidationError({"ends_at": "This is over already."})


class Tokens(AuthTokenManager):
    """Reads a token together with its person and their role: every request needs the three."""

    def get_queryset(self) -> "models.QuerySet[ApiToken]":
        tokens: models.QuerySet[ApiToken] = super().get_queryset().select_related("user__role")
        return tokens


class ApiToken(AbstractAuthToken):
    """A knox token: only its hash is stored; it expires."""

    name = models.CharField(max_length=80, blank=True)
    may_stop = models.BooleanField(default=False, help_text="Has the scope `stop`.")
    actions = models.JSONField(null=True, help_text="Of its person's rights only these; null: all.")
    robots = models.JSONField(null=True, help_text="Slugs: on these robots only; null: on all.")
    last_used_at = models.DateTimeField(null=True)
    by_sign_in = models.BooleanField(default=False, help_text="Somebody has just given their password for it.")

    objects = Tokens()

    def __str__(self) -> str:
        return f"{self.token_key}… of {self.user}"  # never the digest

    @property
    def scopes(self) -> list[str]:
        return ["stop"] if self.may_stop else []

    @property
    def limits(self) -> roles.Limits:
        actions = None if self.actions is None else frozenset(self.actions)
        if actions is not None and self.may_stop:
            actions |= {"robot.view", "robot.stop"}
        return roles.Limits(actions, None if self.robots is None else frozenset(self.robots))


class WsTicket(models.Model):
    """Opens one WebSocket, once, within half a minute. Stored hashed."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    token = models.ForeignKey(
        ApiToken, null=True, on_delete=models.CASCADE, help_text="The API token it was bought with."
    )
    session_key = models.CharField(max_length=40, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"ticket of {self.user}"

    @classmethod
    def issue(cls, user: User, *, token: ApiToken | None = None, session_key: str = "") -> tuple[str, datetime]:
        """A new ticket in clear text, to be shown once, and when it expires."""
        clear = secrets.token_urlsafe(32)
        expires_at = timezone.now() + timedelta(seconds=settings.WS_TICKET_LIFETIME_S)
        cls.objects.create(
            digest=cls.hashed(clear), user=user, token=token, session_key=session_key, expires_at=expires_at
        )
        return clear, expires_at

    @classmethod
    def redeem(cls, clear: str) -> "WsTicket | None":
        """The ticket, if it is good; of two that try at once, one gets it."""
        ticket = (
            cls.objects.select_related("user").filter(digest=cls.hashed(clear), expires_at__gt=timezone.now()).first()
        )
        if ticket is None or cls.objects.filter(digest=ticket.digest).delete()[0] != 1:
            return None
        return ticket

    @staticmethod
    def hashed(clear: str) -> str:
        return hashlib.sha256(clear.encode()).hexdigest()


class StopRevocation(models.Model):
    """Stop tickets issued until `at` are void: those of `user`, or everybody's."""

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"stop tickets of {self.user or 'everybody'} until {self.at}"
