"""The second factor of a person: an authenticator app, and recovery codes for the day it is lost."""

import secrets
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from accounts import journal, permissions, sessions
from accounts.factor_models import SECRET_BYTES, Authenticator, seal
from accounts.models import User

RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
HALF = 5  # a code is abcde-fghjk: 49 bits


def enabled_since(user: User) -> datetime | None:
    """When it was set up; None: it is not."""
    device = Authenticator.objects.filter(user=user, confirmed=True).first()
    return device.created_at if device else None


def is_enabled(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, confirmed=True).exists())


def begin(user: User) -> Authenticator:
    """A new secret, which counts when `confirm` gets a code of it. One that was begun before is forgotten."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user, confirmed=False).delete()
        sealed = seal(secrets.token_bytes(SECRET_BYTES))
        made: Authenticator = Authenticator.objects.create(user=user, name="app", confirmed=False, key=sealed)
    return made


class SetUp(NamedTuple):
    recovery_codes: list[str]  # to be shown once
    ended: dict[str, int]  # {"sessions", "tokens"}


def confirm(user: User, otp: str, *, keep_session: str = "", keep_token: str = "") -> SetUp | None:
    """The app is set up right: from now on it is asked for. None: wrong code.

    Whatever else the person is signed in with was let in without it, and ends; the session or token that confirms goes on.
    """
    with transaction.atomic():
        device = Authenticator.objects.select_for_update().filter(user=user, confirmed=False).first()
        if device is None or not device.verify_token(_plain(otp)):
            return None
        device.confirmed = True
        device.save(update_fields=["confirmed"])
        codes = _new_recovery_codes(user)
        ended = sessions.end_all(user, keep_session=keep_session, keep_token=keep_token)
        counts = {"sessions": ended["sessions"], "api": ended["tokens"]}
        journal.record("auth.factor_set_up", person=user, data=counts)
    return SetUp(codes, ended)


def verify(user: User, otp: str) -> bool:
    """Whether `otp` is a code of the app, or a recovery code, that was not used before. Now it is."""
    code = _plain(otp)
    with transaction.atomic():
        device = Authenticator.objects.select_for_update().filter(user=user, confirmed=True).first()
        if device is None:
            return False
        if code.isdigit() and len(code) == device.digits:
            return bool(device.verify_token(code))
        used: bool = StaticToken.objects.filter(device__user=user, token=_hashed(user, code)).delete()[0] == 1
        if used:
            left = recovery_codes_left(user)
            journal.record("auth.recovery_code_used", person=user, actor=user, data={"left": left})
    return used


def remove(user: User, *, reason: str = "") -> bool:
    """Turn it off; with a `reason` by an administrator. Whether there was one."""
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        devices = Authenticator.objects.filter(user=user)
        was_on: bool = devices.filter(confirmed=True).exists()
        devices.delete()
        if was_on:
            journal.record("auth.factor_removed", person=user, reason=reason)
            permissions.rights_changed(user)  # there may be something to do first again, and grants that count no more
    return was_on


def recovery_codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


def _new_recovery_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    plain = ["".join(secrets.choice(ALPHABET) for _ in range(2 * HALF)) for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_hashed(user, code)) for code in plain)
    return [f"{code[:HALF]}-{code[HALF:]}" for code in plain]


def _plain(otp: str) -> str:
    """As people type it: with spaces, a hyphen, capitals."""
    return "".join(otp.split()).replace("-", "").lower()


def _hashed(user: User, code: str) -> str:
    """What is stored of a recovery code; 16 characters is what the column holds."""
    return salted_hmac(f"robotctl.recovery-code.{user.pk}", code, algorithm="sha256").hexdigest()[:16]
