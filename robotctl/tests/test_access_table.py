"""Who may what: every address of the resolver and every topic of the sockets, for everybody.

The outcome is a page, `docs/access.md`; the test fails when the page says something else than what has just been answered, and so
also when an address is new. To write it anew: ROBOTCTL_WRITE_ACCESS=1 pytest robotctl/tests/test_access_table.py
"""

import difflib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from robotctl.tests import access_table as table
from robotctl.tests.system import free_port

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = Path(__file__).parents[2] / "docs" / "access.md"
HEAD = """# Who may what

Written by `robotctl/tests/test_access_table.py`, which asks every address with every method that it takes, as everybody, and fails
when an answer is another one than here. To write it anew: `ROBOTCTL_WRITE_ACCESS=1 pytest robotctl/tests/test_access_table.py`.

`yes`: not refused (the body may still be no good, or the robot unable). `401`: not signed in. `403`: not allowed. `404`: not there for
this person. `405`: not in this way. `sign-in`, `change/`: led to the page for that. The last person is a viewer who holds a grant as
operator on the robot that is asked about. An API token may do less: only what its scopes name, and stop only with the scope `stop`.
A locked browser session gets 403 `session_locked`, but for STOP, the state of robots, and unlocking.
"""


def test_every_address_answers_as_the_page_says(robots: Any, settings: Any) -> None:
    settings.THROTTLE_RATES = {}
    settings.SECURE_SSL_REDIRECT = False
    robot, _ = robots("oht-01")
    house = table.furnish(robot)
    rows = table.everything(house)
    kinds = {"The API": "api/", "The admin": "admin/", "Pages": ""}
    lines = [HEAD]
    for title, prefix in kinds.items():
        mine = {key: rows.pop(key) for key in list(rows) if key[0].startswith(prefix)}
        lines += table.page(title, mine)
    lines += table.topics(heard(house))
    compare("\n".join(lines).rstrip() + "\n")


def compare(found: str) -> None:
    if os.environ.get("ROBOTCTL_WRITE_ACCESS"):
        PAGE.write_text(found)
    said = PAGE.read_text() if PAGE.exists() else ""
    assert said == found, "\n".join(difflib.unified_diff(said.splitlines(), found.splitlines(), "the page", "now", n=0))


def test_an_address_takes_no_other_method_than_the_page_names(robots: Any, settings: Any) -> None:
    settings.THROTTLE_RATES = {}
    robot, _ = robots("oht-01", read=False)
    house = table.furnish(robot)
    for address, pattern in table.addresses():
        if not address.startswith("api/v1/"):
            continue
        for method in set(table.METHODS) - set(table.taken(pattern)):
            told = table.ask(house, "admin", method, table.filled(address, house, "admin"))
            assert told == "405", f"{method} {address}: {told}"


R = "/api/v1/robots/{slug}"
WATCH = {"viewer", "operator", "engineer", "admin", "auditor", "viewer, operator here"}
OPERATE = {"operator", "engineer", "admin", "viewer, operator here"}
DESIGN = {  # the table of roles, column by column
    "fleet overview": (["/ GET"], set(table.EVERYBODY) - {"stranger"}),
    "robot view, stop": (
        [f"{R}/ GET", f"{R}/state/ GET", f"{R}/stop/ POST", "/api/v1/stop/ POST", "/robots/{slug}/ GET"],
        WATCH,
    ),
    "command, jog, take lease": (
        [f"{R}/commands/ POST", f"{R}/lease/ POST", "/api/v1/commands/{pk}/hold/ POST"],
        OPERATE,
    ),
    "reset, configure, registers, break lease, approve": (
        [
            f"{R}/stop/reset/ POST",
            f"{R}/ PATCH",
            "/api/v1/robots/ POST",
            f"{R}/config/ PATCH",
            f"{R}/modules/{{address}}/registers/{{register}}/ POST",
            f"{R}/lease/break/ POST",
            "/api/v1/commands/{pk}/approve/ POST",
        ],
        {"engineer", "admin"},
    ),
    "users, roles, system": ([f"{R}/access/ POST", "/admin/accounts/role/add/ POST"], {"admin"}),
    "who has which role": ([f"{R}/access/ GET", "/admin/accounts/grant/ GET"], {"admin", "auditor"}),
    "journal": (["/api/v1/journal/ GET"], {"admin", "auditor"}),
}


@pytest.mark.parametrize("column", DESIGN)
def test_the_page_says_what_the_design_promises(column: str) -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `/")]
    told = {f"{row[0].strip('`')} {row[1]}": dict(zip(table.EVERYBODY, row[2:], strict=True)) for row in rows}
    asked, may = DESIGN[column]
    for address in asked:
        assert {who for who, answer in told[address].items() if answer == "yes"} == may, address


# --- sockets ----------------------------------------------------------------------------------------------------------
@contextmanager
def web() -> Iterator[int]:
    """The sockets alone, in this process, on this test's database."""
    import uvicorn
    from channels.routing import ProtocolTypeRouter, URLRouter

    from realtime.routing import websocket_urlpatterns

    application = ProtocolTypeRouter({"websocket": URLRouter(websocket_urlpatterns)})

    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(application, port=port, log_level="error", ws="websockets-sansio", lifespan="off")
    )
    thread = threading.Thread(target=server.run, name="test-web")
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield port
    server.should_exit = True
    thread.join(10)


def heard(house: table.House) -> dict[str, dict[str, str]]:
    """{topic: {who: answer}}: what each may subscribe to."""
    answers: dict[str, dict[str, str]] = {topic: {} for topic in table.TOPICS}
    with web() as port:
        for who in table.EVERYBODY:
            for topic, told in subscribed(port, house.cookies.get(who)).items():
                answers[topic][who] = told
    return answers


def subscribed(port: int, session: str | None) -> dict[str, str]:
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"} if session else {}
    origin = Origin(f"http://127.0.0.1:{port}")
    with connect(f"ws://127.0.0.1:{port}/ws/", origin=origin, additional_headers=headers) as socket:
        try:
            assert json.loads(socket.recv(timeout=10))["type"] == "hello"
        except ConnectionClosed as over:
            return dict.fromkeys(table.TOPICS, str(over.rcvd.code if over.rcvd else 1006))
        return {topic: subscribe(socket, topic) for topic in table.TOPICS}


def subscribe(socket: Any, topic: str) -> str:
    """Whether it was taken. `fleet` is taken from everybody: it joins the robots that one may see."""
    socket.send(json.dumps({"type": "subscribe", "topics": [topic]}))
    told = ""
    while told != "subscribed":  # an error for a topic comes after it
        frame = json.loads(socket.recv(timeout=10))
        told = frame["type"]
    return "yes" if topic in frame["topics"] else "no"
