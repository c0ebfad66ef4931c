"""The front door of a stop with a ticket: before all middleware, straight to the wire.

Signature, time and what this process remembers; no database, cache or bus call until the robots have been told. Everything else,
and a stop whose ticket is not good (any more), goes the ordinary way.
"""

import asyncio
import contextvars
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from accounts import context, stop_tickets
from firmware import stop
from firmware.models import Robot
from firmware.stop_targets import StopTargets
from robotctl.text import clean

PATH = re.compile(r"/api/v1/(?:robots/(?P<slug>[a-z0-9][a-z0-9-]*)/)?stop/?")
BODY_WITHIN_S = 0.2  # a reason is worth no more
BODY_AT_MOST = 10_000

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]  # each library has its own words for an ASGI application


class StopRoute:
    """An ASGI application that stops robots, and hands everything else to `app`."""

    def __init__(self, app: App, targets: StopTargets) -> None:
        self.app, self.targets = app, targets
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="stop-press")  # nothing else waits in these

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        found = self._read(scope)
        if found is None:
            await self.app(scope, receive, send)
            return
        ticket, robots = found
        _enter(scope, ticket)
        reason = await _reason(receive)
        inside = contextvars.copy_context()

        def press() -> list[stop.StopResult]:
            return inside.run(stop.stop_robots, robots, by=ticket.username, reason=reason)

        results = await asyncio.get_running_loop().run_in_executor(self._threads, press)
        await _answer(send, {"results": [result.shape() for result in results]})

    def _read(self, scope: Message) -> tuple[stop_tickets.StopTicket, list[Robot]] | None:
        """Who stops what; None when this is for the ordinary way."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path = PATH.fullmatch(scope["path"])
        given = _header(scope, b"x-stop-ticket")
        ticket = stop_tickets.read(given) if path and given else None
        if path is None or ticket is None:
            return None
        robots = self.targets.choose(ticket, path["slug"])
        return (ticket, robots) if robots else None


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _enter(scope: Message, ticket: stop_tickets.StopTicket) -> None:
    """The origin for the journal, as the middleware would open it."""
    remote = (scope.get("client") or ("",))[0]
    address = context.client_address(remote, _header(scope, b"x-forwarded-for"))
    client_id = _header(scope, b"x-request-id")
    context.enter(client_id=client_id, address=address, user_agent=_header(scope, b"user-agent"))
    context.set_actor(ticket.user_id, ticket.username)


async def _reason(receive: Receive) -> str:
    """The reason in the body, if there is one. Whatever the body is, and however slowly it comes, the robots are stopped."""
    try:
        body = await asyncio.wait_for(_body(receive), BODY_WITHIN_S)
        given = msgspec.json.decode(body) if body else {}
    except (TimeoutError, msgspec.DecodeError, RecursionError):
        return ""
    return clean(str(given.get("reason", "")))[:500] if isinstance(given, dict) else ""


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message: Message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > BODY_AT_MOST:
            return body


async def _answer(send: Send, document: dict[str, Any]) -> None:
    body = msgspec.json.encode(document)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-request-id": context.current().request_id,
    }
    head = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
