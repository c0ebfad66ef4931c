"""Requests of a profile made ready for the wire: paths and bodies filled in, signed with one of the robot's credentials."""

import base64
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from firmware import replies
from firmware.errors import BadProfile
from firmware.language.actions import Action
from firmware.language.kind import Profile
from firmware.language.words import PLACEHOLDER
from firmware.transport import Ready, Transport

MEDIA_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
}


def bound(profile: Profile, settings: dict[str, Any]) -> Profile:
    """The profile with a robot's own settings in its paths, expressions and bodies."""
    if not profile.settings:
        return profile

    def fill(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: fill(value) for key, value in part.items()}
        if isinstance(part, list):
            return [fill(value) for value in part]
        if not isinstance(part, str):
            return part
        if (whole := PLACEHOLDER.fullmatch(part)) and whole[1] in settings:
            return settings[whole[1]]
        return PLACEHOLDER.sub(lambda found: replies.word(settings.get(found[1], found[0])), part)

    given = msgspec.to_builtins(profile)
    return msgspec.convert(
        {key: value if key in ("about", "settings") else fill(value) for key, value in given.items()}, Profile
    )


class Signer:
    """Makes requests of one robot. Raises BadProfile when a credential cannot be sent."""

    def __init__(self, slug: str, profile: Profile, credentials: dict[str, str], transport: Transport) -> None:
        self._slug, self._auth, self._fixed = slug, profile.auth, profile.transport.headers
        self._credentials, self._transport = credentials, transport

    def request(
        self, method: str, path: str, token: str | None, body: Any = None, encode: str = "json", params: Any = None
    ) -> Ready:
        """A request with `params` in the place of `$name`."""
        given: dict[str, Any] = params or {}
        path = PLACEHOLDER.sub(lambda found: replies.path_part(given.get(found[1])), path)
        headers, path = self._signed(path, token)
        written = None if body is None else _written(replies.fill(body, given), encode)
        if written is not None:
            headers["Content-Type"] = MEDIA_TYPES[encode]
        try:
            return self._transport.prepare(method, path, headers, written)
        except ValueError:
            reason = "the robot's credential holds characters that an HTTP header cannot carry"
            raise BadProfile(self._slug, f"credentials.{token}", reason) from None

    def action(self, action: Action, params: dict[str, Any]) -> Ready:
        return self.request(action.method, action.path, action.token, action.body, action.encode, params)

    def _signed(self, path: str, token: str | None) -> tuple[dict[str, str], str]:
        auth, secret = self._auth, self._credentials.get(token or "", "")
        if not secret:
            return dict(self._fixed), path
        if auth.encode == "base64":
            secret = base64.b64encode(secret.encode()).decode()
        if auth.query:
            return dict(self._fixed), f"{path}{'&' if '?' in path else '?'}{quote(auth.query)}={quote(secret, safe='')}"
        value = auth.template.replace("$token", secret) if auth.template else f"{auth.scheme} {secret}".strip()
        return self._fixed | {auth.header: value}, path


def _written(body: Any, encode: str) -> bytes:
    if encode == "text":
        return replies.word(body).encode()
    if encode == "form":
        return urlencode({key: replies.word(value) for key, value in body.items()}).encode()
    return msgspec.json.encode(body)
