"""A stop with a ticket goes before everything: no database, no cache, no bus; and a ticket is worth what its person's rights are."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import signing

from accounts import permissions, stop_tickets
from accounts.models import JournalEntry, Role
from firmware import credentials, spool, stop_targets, stopping
from firmware.models import Robot, RobotState
from firmware.stop_route import StopRoute
from firmware.stop_targets import StopTargets
from firmware.tests.conftest import http
from firmware.tests.test_language_reads import Scripted
from robotctl.tests.fixtures import until
from robotctl.tests.system import SIMULATOR_TOKENS

ORDINARY = 418


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    stop_tickets._revoked = {}
    for path in spool.folder().glob("*"):
        path.unlink()
    stopping._pending.clear()
    stop_targets.mirror().unlink(missing_ok=True)


async def ordinary(scope: Any, receive: Any, send: Any) -> None:
    """What stands behind: says that it was asked."""
    await send({"type": "http.response.start", "status": ORDINARY, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def press(targets: StopTargets, path: str, ticket: str | None, body: bytes | None = b"{}", method: str = "POST") -> Any:
    """(status, answer) of one request. `body` None: it never comes."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if body is None:
            await asyncio.sleep(30)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"user-agent", b"test"), (b"x-request-id", b"press-0001")] + (
        [(b"x-stop-ticket", ticket.encode())] if ticket else []
    )
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": ("127.0.0.9", 1)}
    asyncio.run(StopRoute(ordinary, targets)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def ticket_for(slugs: list[str] | None, *, issued_at: float | None = None, ends_in_s: float = 60, user: int = 1) -> str:
    """As `issue` signs it, without a database."""
    now = issued_at or time.time()
    told = {"u": user, "n": "alice", "s": slugs, "t": now, "e": now + ends_in_s}
    return signing.Signer(salt=stop_tickets.SALT).sign_object(told, compress=True)


def knowing(*robots: tuple[int, str, str]) -> StopTargets:
    """Targets that remember these robots: (pk, slug, address)."""
    targets = StopTargets()
    sealed = credentials.seal(SIMULATOR_TOKENS)
    about = {"profile": "oht50", "sealed_credentials": sealed, "settings": {}, "enabled": True, "simulated": True}
    targets._take([{"id": pk, "slug": slug, "name": slug, "base_url": url} | about for pk, slug, url in robots])
    return targets


def test_a_stop_needs_no_database(simulators: Any) -> None:
    """This test may not touch the database at all, in any thread: whatever asks it raises at once."""
    simulator = simulators(dialect="observed")
    targets = knowing((901, "oht-01", simulator.url))
    status, answer = press(targets, "/api/v1/robots/oht-01/stop/", ticket_for(["oht-01"]), b'{"reason": "hand"}')
    (result,) = answer["results"]
    assert (status, result["status"], simulator.truth()["state"]) == (200, "confirmed", "ESTOP")
    assert "not written down yet" in result["detail"]
    assert stopping.is_pending("oht-01"), "it may not be moved from here"
    ((waiting, entry),) = until(lambda: list(spool.orphans()))  # nobody writes it down: it waits
    entry.let_go()
    assert (waiting.robots, waiting.by, waiting.reason) == (["oht-01"], "alice", "hand")
    assert (waiting.origin.actor_id, waiting.origin.address) == (1, "127.0.0.9")


def test_a_body_that_does_not_come_delays_nobody(simulators: Any) -> None:
    simulator = simulators()
    status, answer = press(knowing((902, "oht-01", simulator.url)), "/api/v1/stop/", ticket_for(None), None)
    assert (status, answer["results"][0]["status"]) == (200, "confirmed")


@pytest.mark.parametrize("body", [b"{", b'"x"', b"[" * 9000, b'{"reason": {"a": 1}}', b"\xff" * 20_000])
def test_no_body_keeps_a_robot_moving(body: bytes, scripted: Scripted) -> None:
    robot = scripted(http(b'{"data": {"current_state": "ESTOP"}}'))
    status, answer = press(knowing((903, "oht-01", robot.url)), "/api/v1/stop", ticket_for(None), body)
    assert (status, answer["results"][0]["status"]) == (200, "confirmed")


NOT_HERE = {
    "no ticket": (None, "/api/v1/stop/", "POST"),
    "forged": ("eyJ1Ijox:fZ", "/api/v1/stop/", "POST"),
    "another robot": (ticket_for(["oht-02"]), "/api/v1/robots/oht-01/stop/", "POST"),
    "unknown robot": (ticket_for(None), "/api/v1/robots/oht-09/stop/", "POST"),
    "reset": (ticket_for(None), "/api/v1/robots/oht-01/stop/reset/", "POST"),
    "reading": (ticket_for(None), "/api/v1/robots/oht-01/stop/", "GET"),
    "another address": (ticket_for(None), "/admin/stop/", "POST"),
    "expired": (ticket_for(None, ends_in_s=-1), "/api/v1/stop/", "POST"),
    "signed for something else": (signing.Signer(salt="x").sign_object({"s": None}), "/api/v1/stop/", "POST"),
    "not a ticket": (signing.Signer(salt=stop_tickets.SALT).sign_object({"s": 5}), "/api/v1/stop/", "POST"),
}


@pytest.mark.parametrize(("ticket", "path", "method"), NOT_HERE.values(), ids=NOT_HERE)
def test_everything_else_goes_the_ordinary_way(ticket: str | None, path: str, method: str, scripted: Scripted) -> None:
    robot = scripted(http())
    status, _ = press(knowing((904, "oht-01", robot.url)), path, ticket, method=method)
    assert (status, robot.requests) == (ORDINARY, [])


def test_a_revoked_ticket_goes_the_ordinary_way(scripted: Scripted) -> None:
    robot, old = scripted(http()), ticket_for(None, issued_at=time.time() - 10, ends_in_s=100)
    targets = knowing((905, "oht-01", robot.url))
    for whose in (1, None):
        stop_tickets._revoked = {whose: time.time() - 5}
        assert press(targets, "/api/v1/stop/", old)[0] == ORDINARY
    stop_tickets._revoked = {2: time.time(), None: time.time() - 20}
    assert stop_tickets.read(old) is not None, "another person's, and one that is older"


@pytest.mark.django_db(transaction=True)
def test_a_stop_with_a_ticket_is_recorded_like_any_other(api: Any, robots: Any, people: Any) -> None:
    robot, simulator = robots()
    targets = StopTargets()
    targets.load()
    ticket = api("bob").post("/api/v1/auth/stop-ticket/").json()["ticket"]
    status, answer = press(targets, "/api/v1/stop/", ticket, b'{"reason": "smoke"}')
    assert (status, answer["results"][0]["status"], simulator.truth()["state"]) == (200, "confirmed", "ESTOP")
    assert "not written down" not in answer["results"][0]["detail"]
    row = RobotState.objects.get(robot=robot)
    assert (row.stop_latched, row.stop_by, row.stop_reason) == (True, "bob", "smoke")
    entry = JournalEntry.objects.get(verb="stop.requested")
    assert (entry.actor_id, entry.reason, entry.robot) == (people["bob"].pk, "smoke", "oht-01")
    assert len(entry.request_id) == 32 and entry.request_id != "press-0001", "the id is ours"
    assert list(spool.folder().glob("*")) == []


@pytest.mark.django_db(transaction=True)
def test_who_may_have_a_ticket_and_for_what(api: Any, robots: Any, people: Any) -> None:
    robot, _ = robots()
    assert api(None).post("/api/v1/auth/stop-ticket/").status_code == 401
    assert api("charlie").post("/api/v1/auth/stop-ticket/").status_code == 403
    role = Role.objects.get(name="viewer")
    permissions.grant(robot, role=role, holder=people["charlie"], by=people["ada"], reason="visit")
    answer = api("charlie").post("/api/v1/auth/stop-ticket/").json()
    ticket = stop_tickets.read(answer["ticket"])
    assert ticket is not None and ticket.slugs == frozenset({"oht-01"}) and ticket.username == "charlie"
    alices = stop_tickets.read(api("alice").post("/api/v1/auth/stop-ticket/").json()["ticket"])
    assert alices is not None and alices.allows("any-robot")


@pytest.mark.django_db(transaction=True)
def test_what_changes_somebodys_rights_makes_their_tickets_void(api: Any, robots: Any, people: Any) -> None:
    robots()
    ticket = api("bob").post("/api/v1/auth/stop-ticket/").json()["ticket"]
    others = api("alice").post("/api/v1/auth/stop-ticket/").json()["ticket"]
    permissions.rights_changed(people["bob"])
    stop_tickets.learn_revocations()
    assert stop_tickets.read(ticket) is None
    assert stop_tickets.read(others) is not None
    permissions.rights_changed(None)
    stop_tickets.learn_revocations()
    assert stop_tickets.read(others) is None


@pytest.mark.django_db(transaction=True)
def test_a_ticket_ends_with_the_grant_it_rests_on(api: Any, robots: Any, people: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    robot, _ = robots()
    until_ = timezone.now() + timedelta(minutes=3)
    role = Role.objects.get(name="viewer")
    permissions.grant(robot, role=role, holder=people["charlie"], by=people["ada"], reason="visit", ends_at=until_)
    answer = api("charlie").post("/api/v1/auth/stop-ticket/").json()
    assert answer["expires_at"][:19] == until_.strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.django_db(transaction=True)
def test_api_tokens_stop_only_with_their_scope(api: Any, robots: Any) -> None:
    robots()
    plain = api("alice").post("/api/v1/auth/tokens/", {"name": "dashboard"}, format="json").json()
    able = api("alice").post("/api/v1/auth/tokens/", {"name": "cell", "scopes": ["stop"]}, format="json").json()
    assert (plain["scopes"], able["scopes"]) == ([], ["stop"])
    client = api(None)
    client.credentials(HTTP_AUTHORIZATION=f"Token {plain['token']}")
    for path in ("stop/", "robots/oht-01/stop/", "auth/stop-ticket/"):
        refused = client.post(f"/api/v1/{path}")
        assert (refused.status_code, "scope `stop`" in refused.json()["detail"]) == (403, True)
    client.credentials(HTTP_AUTHORIZATION=f"Token {able['token']}")
    assert client.post("/api/v1/stop/").json()["results"][0]["status"] == "confirmed"


@pytest.mark.django_db(transaction=True)
def test_a_process_that_starts_without_its_database_stops_the_robots_of_the_mirror(robots: Any) -> None:
    robot, simulator = robots()
    StopTargets().load()
    kept = stop_targets.mirror().read_bytes()
    assert stop_targets.mirror().stat().st_mode & 0o777 == 0o600
    assert simulator.url.encode() not in kept and b"oht-01" not in kept
    fresh = StopTargets()
    fresh._read_mirror()
    assert press(fresh, "/api/v1/stop/", ticket_for(None))[1]["results"][0]["status"] == "confirmed"
    assert RobotState.objects.get(robot=robot).stop_latched


def test_a_mirror_that_cannot_be_read_keeps_nobody_from_starting() -> None:
    for text in (b"garbage", credentials.encrypt(b"[1]"), credentials.encrypt(b'[{"slug": "x", "strange": 1}]')):
        stop_targets.mirror().write_bytes(text)
        targets = StopTargets()
        targets._read_mirror()
        assert targets._robots == {}


@pytest.mark.django_db(transaction=True)
def test_a_robot_that_is_retired_is_forgotten(robots: Any) -> None:
    from django.utils import timezone

    robots()
    targets = StopTargets()
    targets.load()
    Robot.objects.update(retired_at=timezone.now())
    targets.load()
    assert press(targets, "/api/v1/stop/", ticket_for(None))[0] == ORDINARY


def test_a_robot_that_is_registered_makes_no_ticket_void(api: Any, robots: Any, people: Any) -> None:
    robots(read=False)
    given = api("bob").post("/api/v1/auth/stop-ticket/").json()["ticket"]
    body = {"slug": "new-1", "name": "New", "profile": "oht50", "base_url": "http://127.0.0.1:9"}
    assert api("erin").post("/api/v1/robots/", body).status_code == 201
    stop_tickets.learn_revocations()
    assert stop_tickets.read(given) is not None
