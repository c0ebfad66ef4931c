"""Requests, replies and routes: HTTP as far as a small firmware knows it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from firmware.simulator.vehicle import RefusedError, Vehicle

Json = dict[str, object]
JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Request:
    """One request as the robot understood it; `target` still carries the query string."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query string."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, empty without one."""
        return self.target.partition("?")[2]

    @property
    def token(self) -> str | None:
        """The Bearer token, if one came along."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None

    def json(self) -> Json:
        """The body as a JSON object."""
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise RefusedError("Invalid JSON in request body") from error
        if not isinstance(document, dict):
            raise RefusedError("Request body must be a JSON object")
        return document


@dataclass(frozen=True)
class Reply:
    """What goes back; the robot is busy for `busy_s` seconds before it answers."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    busy_s: float = 0.0


def json_reply(document: Mapping[str, object], status: int = 200, busy_s: float = 0.0) -> Reply:
    """A reply with compact JSON, as a C program prints it."""
    return Reply(status, json.dumps(document, separators=(",", ":")).encode(), busy_s=busy_s)


@dataclass(frozen=True)
class Call:
    """One request on its way through a handler; `emergency_delay_s` is how late an emergency stop takes effect."""

    vehicle: Vehicle
    request: Request
    args: tuple[str, ...] = ()
    emergency_delay_s: float = 0.0


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Route:
    """Where a request goes, and the word (`auth`) by which the dialect decides who may."""

    method: str
    pattern: str
    handler: Handler
    auth: str = "none"


class Router:
    """Finds the route of a request; `{}` in a pattern stands for one path part."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._exact = {(route.method, route.pattern): route for route in routes if "{}" not in route.pattern}
        self._patterns = [
            (route, re.compile(re.escape(route.pattern).replace(r"\{\}", "([^/]+)")))
            for route in routes
            if "{}" in route.pattern
        ]

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        """The route and what stood in its places."""
        exact = self._exact.get((method, path))
        if exact:
            return exact, ()
        for route, pattern in self._patterns:
            found = pattern.fullmatch(path) if route.method == method else None
            if found:
                return route, found.groups()
        return None


def parse_head(head: bytes, *, max_path: int, max_headers: int, max_value: int) -> tuple[str, str, dict[str, str]]:
    """Method, target and headers (names in lower case); what exceeds a limit is dropped in silence."""
    lines = head.decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    headers: dict[str, str] = {}
    for line in lines[1 : max_headers + 1]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()[:max_value]
    return method, rest.partition(" ")[0][:max_path], headers
