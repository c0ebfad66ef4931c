"""What every answer carries, and what no request may bring: against the running product, over real sockets."""

import http.client
import json
from typing import Any

import pytest
import requests

from robotctl.front import ALWAYS, LONGEST_URL
from robotctl.tests.system import System

pytestmark = pytest.mark.system


def stop_ticket(system: System, who: str) -> str:
    return str(system.call(who, "POST", "auth/stop-ticket/").json()["ticket"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/sign-in/", 200),
        ("/", 302),
        ("/robots/oht-01", 301),
        ("/nowhere/", 404),
        ("/admin/login/", 302),
        ("/static/realtime/app.css", 200),
        ("/static/nothing.css", 404),
        ("/health/live", 200),
        ("/api/v1/auth/me/", 401),
        ("/api/v1/nowhere/", 404),
        ("/api/schema/", 200),
        ("/api/docs/", 200),
        (f"/?q={'x' * LONGEST_URL}", 414),
        ("/%00", 400),
        ("/api/v1/robots/?slug=a%00", 400),
        ("/api/v1/auth/tokens/a%00/", 400),
        ("/api/v1/journal/?verb=%1b[2J", 400),
    ],
)
def test_every_kind_of_answer_has_the_headers(system: System, path: str, status: int) -> None:
    answer = requests.get(system.url + path, timeout=20, allow_redirects=False)
    assert answer.status_code == status
    check_headers(answer)


def check_headers(answer: requests.Response) -> None:
    assert {name for name in ALWAYS if name not in answer.headers} == set()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy


@pytest.mark.parametrize("path", ["/sign-in/", "/", "/nowhere/", "/api/docs/", "/api/v1/robots/"])
def test_nothing_but_the_admin_evaluates_text(system: System, path: str) -> None:
    policy = requests.get(system.url + path, timeout=20, allow_redirects=False).headers["Content-Security-Policy"]
    assert "unsafe" not in policy


def test_a_wrong_host_and_a_stop_with_a_ticket_have_the_headers_too(system: System) -> None:
    check_headers(requests.get(f"{system.url}/sign-in/", headers={"Host": "evil.example"}, timeout=20))
    headers = {"X-Stop-Ticket": stop_ticket(system, "viewer")}
    stopped = requests.post(f"{system.url}/api/v1/robots/oht-03/stop/", json={}, headers=headers, timeout=20)
    assert stopped.status_code == 200
    check_headers(stopped)
    reset = system.call("engineer", "POST", "robots/oht-03/stop/reset/", {"reason": "a test of headers"})
    assert reset.status_code == 200


def chunked(system: System, path: str, size: int, **headers: str) -> tuple[int, Any]:
    """A body of unknown length."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=20)
    body = (b'"' + b"x" * 9_998 + b'"' for _ in range(size // 10_000))
    connection.request("POST", path, body, {"Content-Type": "application/json", **headers}, encode_chunked=True)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content)


def test_a_body_that_is_too_large_is_413_and_a_row_for_who_is_signed_in(system: System) -> None:
    large = {"name": "move", "params": {}, "reason": "x" * 300_000}
    told = system.call("operator", "POST", "robots/oht-01/commands/", large)
    assert (told.status_code, told.json()["code"]) == (413, "too_large")
    rows = system.call("auditor", "GET", "journal/?verb=access.too_large").json()["results"]
    assert rows[0]["actor"] == "operator"
    token = f"Token {system.tokens['operator']}"
    assert chunked(system, "/api/v1/robots/oht-01/commands/", 400_000, Authorization=token)[0] == 413
    assert chunked(system, "/api/v1/auth/login/", 2_000_000)[0] == 413
    form = requests.post(f"{system.url}/sign-in/", data={"username": "x" * 300_000}, timeout=20)
    assert form.status_code in (400, 403, 413)  # without the token of the form it does not get that far


def test_a_stop_stops_whatever_is_sent_with_it(system: System) -> None:
    system.call("viewer", "GET", "auth/me/")
    token = f"Token {system.tokens['viewer']}"
    status, answer = chunked(system, "/api/v1/robots/oht-03/stop/", 400_000, Authorization=token)
    assert (status, answer["results"][0]["status"]) == (200, "confirmed")
    assert system.call("engineer", "POST", "robots/oht-03/stop/reset/", {"reason": "again"}).status_code == 200


def test_too_many_headers_are_431(system: System) -> None:
    headers = {f"X-Filler-{number}": "x" for number in range(150)}
    assert requests.get(f"{system.url}/health/live", headers=headers, timeout=20).status_code in (400, 431)
