"""What a request meets first, and an answer last: limits on size, and the headers that every answer carries.

Before Django, so that it holds for the stop route, static files and whatever fails as well.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec
from django.conf import settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

LONGEST_URL = 4_096  # bytes, the query included
MOST_HEADERS = 100
LONGEST_HEADERS = 16_384  # bytes, all together
UNFIT = re.compile("[\x00-\x1f\x7f]")
UNFIT_IN_QUERY = re.compile(rb"%(?:[01][0-9a-f]|7f)", re.IGNORECASE)
LINE_BREAKS = re.compile(rb"%0[9ad]", re.IGNORECASE)  # a search may hold them

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), "
    "midi=(), payment=(), usb=()",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class Limits:
    """An ASGI application before `app`: bounded address, headers and body."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        refusal = refused(scope)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        await self.app(scope, _bounded(scope, receive), send)


class Headers:
    """An ASGI application around `app`: whatever answers, with the headers of `ALWAYS`."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = list(message.get("headers", []))
                message["headers"] = [*held, *missing(name for name, _ in held)]
            await send(message)

        await self.app(scope, receive, sender)


def refused(scope: Message) -> tuple[int, str, str] | None:
    """(status, code, detail) for a request that goes no further."""
    query = scope.get("query_string", b"")
    if len(scope.get("raw_path") or scope["path"].encode()) + len(query) > LONGEST_URL:
        return 414, "uri_too_long", f"The address is longer than {LONGEST_URL} bytes."
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if len(scope["headers"]) > MOST_HEADERS or size > LONGEST_HEADERS:
        words = f"There are more than {MOST_HEADERS} headers, or they are longer than {LONGEST_HEADERS} bytes."
        return 431, "headers_too_large", words
    if UNFIT.search(scope["path"]) or UNFIT_IN_QUERY.search(LINE_BREAKS.sub(b"", query)):
        return 400, "bad_request", "The address holds a control character."
    return None


def _bounded(scope: Message, receive: Receive) -> Receive:
    """`receive` that ends the body at the limit. What is longer is told by its `content-length`, true or put there.

    The request goes on: who sent it is found out first, for the journal, and a stop stops, whatever was sent with it.
    """
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    promised = int(told[:20]) if told.isdigit() else limit + 1
    read, ended = (promised if promised > limit else 0), False

    async def bounded() -> Message:
        nonlocal read, ended
        if ended:
            while (message := await receive())["type"] == "http.request":
                pass  # thrown away
            return message
        if read <= limit:
            message = await receive()
            read += len(message.get("body", b""))
            if read <= limit:
                ended = not message.get("more_body", False)
                return message
            others = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
            scope["headers"] = [*others, (b"content-length", str(read).encode())]
        ended = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return bounded


def missing(present: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers that an answer with those `present` still lacks."""
    held = {name.lower().decode("latin-1") for name in present}
    wanted = dict(ALWAYS)
    if settings.SECURE_HSTS_SECONDS:
        wanted["strict-transport-security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
    return [(name.encode(), value.encode()) for name, value in wanted.items() if name not in held]


async def _answer(send: Send, status: int, code: str, detail: str) -> None:
    body = msgspec.json.encode(
        {"type": f"about:blank#{code}", "title": "Refused", "status": status, "detail": detail, "code": code}
    )
    head = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
