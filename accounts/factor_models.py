"""The authenticator app of a person: django-otp's TOTP device, with its secret encrypted."""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django_otp.plugins.otp_totp.models import TOTPDevice

SECRET_BYTES = 20
NONCE_BYTES = 12


class Unreadable(Exception):
    """None of ROBOTCTL_KEYS decrypts it."""


def _boxes() -> list[AESGCM]:
    """One for each of ROBOTCTL_KEYS. Not Fernet: its tokens are longer than the column that django-otp has for the secret."""
    return [
        AESGCM(HKDF(hashes.SHA256(), 32, salt=None, info=b"robotctl.second-factor").derive(key.encode()))
        for key in settings.ENV.credential_keys
    ]


def seal(secret: bytes) -> str:
    """Encrypted with the first key; 64 characters."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return base64.b64encode(nonce + _boxes()[0].encrypt(nonce, secret, None)).decode()


def unseal(sealed: str) -> bytes:
    """Raises Unreadable."""
    raw = base64.b64decode(sealed)
    for box in _boxes():
        try:
            return box.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None)
        except InvalidTag:
            continue
    raise Unreadable("The second factor was encrypted with a key that is not in ROBOTCTL_KEYS.")


class Authenticator(TOTPDevice):
    """An app that shows codes. It counts as soon as it is `confirmed`: a code of it was given."""

    class Meta:
        proxy = True

    @property
    def bin_key(self) -> bytes:
        return unseal(self.key)

    @property
    def secret(self) -> str:
        """As apps take it when it is typed."""
        return base64.b32encode(self.bin_key).decode()
