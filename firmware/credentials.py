"""A robot's credentials: encrypted at rest, never shown again."""

import functools

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """None of ROBOTCTL_KEYS decrypts it."""


@functools.cache
def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENV.credential_keys])


def encrypt(clear: bytes) -> bytes:
    return _box().encrypt(clear)


def decrypt(sealed: bytes) -> bytes:
    """Raises cryptography's InvalidToken."""
    return _box().decrypt(sealed)


def seal(credentials: dict[str, str]) -> str:
    return _box().encrypt(msgspec.json.encode(credentials)).decode() if credentials else ""


def unseal(sealed: str) -> dict[str, str]:
    if not sealed:
        return {}
    try:
        return msgspec.json.decode(_box().decrypt(sealed.encode()), type=dict[str, str])
    except InvalidToken as error:
        raise Unreadable("The robot's credentials were encrypted with a key that is not in ROBOTCTL_KEYS.") from error
