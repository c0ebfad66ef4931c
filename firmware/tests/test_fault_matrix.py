"""Every fault of the simulator at the moment of a read, a motion, a stop and a register write: what people see, what is recorded.

The outcome is a page, `docs/faults.md`; the test fails when the page says something else than what has just happened. To write it
anew: ROBOTCTL_WRITE_FAULTS=1 pytest firmware/tests/test_fault_matrix.py
"""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import profile, recorder, state, threads
from firmware.clients import client_for
from firmware.drainer import drainer
from firmware.errors import FirmwareError
from firmware.models import Command, Robot, RobotState
from firmware.simulator import Simulator
from robotctl.tests.fixtures import look, until
from robotctl.tests.system import register

pytestmark = [pytest.mark.system, pytest.mark.django_db(transaction=True)]
PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
QUICK = {
    "timeout_s = 3.0": "timeout_s = 0.8",
    "[commands.move]": "[commands.move]\nconfirm_within_s = 1.5",
    "confirm_within_s = 4.0": "confirm_within_s = 1.5",
    "timeout_s = 8.0": "timeout_s = 2.0",
}
SLOW_S = 2.5  # longer than the quick profile waits
FAULTS = {
    "refuse": "does not accept connections",
    "hang": "takes the request and never answers",
    "slow": "answers later than the time-out",
    "no_reply_once": "closes without an answer, once",
    "reset_by_peer": "resets the connection",
    "cut": "cuts the answer short",
    "error": "answers 500",
    "deny": "answers 401",
    "garbage": "answers with bytes that are no JSON",
    "html": "answers with a web page",
    "oversize": "answers without end",
    "disobey": "says yes and does nothing",
    "frozen": "answers, but its inside stands still",
}
AT_ONCE = 4
KINDS = ("read", "motion", "stop", "register")


@dataclass(frozen=True)
class Cell:
    """What the operator sees, and the journal's verbs."""

    seen: str
    verbs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.seen}<br>journal: {', '.join(self.verbs) or 'nothing'}"


@pytest.fixture
def quick() -> Iterator[str]:
    """The OHT-50's profile, less patient: the same outcomes sooner."""
    text = (profile.SHIPPED / "oht50.toml").read_text()
    for patient, less in QUICK.items():
        assert patient in text
        text = text.replace(patient, less)
    path = Path(settings.ENV.var) / "profiles" / "oht50-quick.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    yield "oht50-quick"
    path.unlink()


def test_the_page_of_faults_says_what_happens(quick: str, api: Any) -> None:
    cells = [(fault, kind) for fault in FAULTS for kind in KINDS]
    with ThreadPoolExecutor(AT_ONCE) as pool:  # each cell has a robot of its own
        seen = pool.map(lambda one: cell(one[0], one[1], quick, api), cells)
        text = page(dict(zip(cells, seen, strict=True)))
    assert threads.settle(20)
    if os.environ.get("ROBOTCTL_WRITE_FAULTS"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text


def cell(fault: str, kind: str, quick: str, api: Any) -> Cell:
    try:
        return _cell(fault, kind, quick, api)
    finally:
        connections.close_all()


def _cell(fault: str, kind: str, quick: str, api: Any) -> Cell:
    with Simulator(dialect="documented") as simulator:
        slug = re.sub(r"[^a-z0-9]", "-", f"{fault}-{kind}")
        robot = register(slug, simulator.url, profile=quick)
        look(robot)
        waiting = asked(api, slug) if kind == "register" else 0
        after = JournalEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        simulator.fault(fault, SLOW_S if fault == "slow" else None)
        act = {"read": read, "motion": motion, "stop": stop, "register": agreed}[kind]
        seen = act(api, robot, simulator, waiting)
        rows = JournalEntry.objects.filter(robot=slug, pk__gt=after, verb__regex=r"^(command|stop|link|robot)\.")
        verbs = tuple(dict.fromkeys(rows.order_by("pk").values_list("verb", flat=True)))
        simulator.clear()  # late answers come now
        drainer.wait(5)
        return Cell(seen, verbs)


def read(api: Any, robot: Robot, simulator: Simulator, _: int) -> str:
    """One read, as the poll loop makes it."""
    client, spec = client_for(robot), client_for(robot).profile
    try:
        recorder.record([recorder.Contact.seen(robot.pk, client.read(spec.state_read, polling=True))])
    except FirmwareError as error:
        recorder.record([recorder.Contact.failed(robot.pk, timezone.now(), spec.state_read, error)])
    row = RobotState.objects.select_related("robot__site").get(robot=robot)
    document = state.document(row.robot, row, timezone.now())
    told = document["machine_state"]
    assert told["value"] == "idle", "the last state is kept"
    error_code = document["link"]["last_error_code"]
    return f"{told['value']} kept, growing old; `{error_code}`" if error_code else f"{told['value']}, live"


def motion(api: Any, robot: Robot, simulator: Simulator, _: int) -> str:
    answer = api("alice").send(robot.slug, "move", {"target_m": 90.0}, wait_s=12).json()
    moving = simulator.truth()["state"] == "MOVE"
    assert answer["status"] != "confirmed" or moving, "confirmed, and it does not move"
    assert answer["status"] not in ("failed", "rejected", "expired") or not moving, "it moves, and is said not to"
    assert simulator.truth()["bodies_received"] <= 1, "sent more than once"
    return words(answer)


def stop(api: Any, robot: Robot, simulator: Simulator, _: int) -> str:
    result = api("bob").post(f"/api/v1/robots/{robot.slug}/stop/", {}, format="json").json()["results"][0]
    stands = simulator.truth()["state"] == "ESTOP"
    assert result["status"] != "confirmed" or stands, "confirmed, and it does not stand"
    assert RobotState.objects.get(robot=robot).stop_latched
    if result["status"] == "confirmed":
        return "**confirmed**"
    return f"**{result['status'].replace('_', ' ')}**, latched, goes on trying"


def asked(api: Any, slug: str) -> int:
    """A register write that waits for its second person."""
    path = f"/api/v1/robots/{slug}/modules/2/registers/0x0030/"
    key = {"HTTP_IDEMPOTENCY_KEY": slug}
    return int(api("erin").post(path, {"value": 28, "reason": "matrix"}, format="json", **key).json()["id"])


def agreed(api: Any, robot: Robot, simulator: Simulator, command: int) -> str:
    api("ada").post(f"/api/v1/commands/{command}/approve/", {"wait_s": 15}, format="json")
    until(lambda: Command.objects.get(pk=command).ended_at)
    assert simulator.truth()["bodies_received"] <= 1, "sent more than once"
    return words(state.command_shape(Command.objects.select_related("robot").get(pk=command)))


def words(answer: dict[str, Any]) -> str:
    if not isinstance(answer.get("status"), str):
        return f"refused · `{answer['code']}`"
    status = answer["status"].replace("_", " ")
    return f"**{status}** · `{answer['code']}`" if answer["code"] else f"**{status}**"


HEAD = """# What happens when a robot misbehaves

Each cell is what a test has just seen (`firmware/tests/test_fault_matrix.py`): the simulated robot is read, then misbehaves, and one
thing is asked of it. Nothing is sent twice, nothing is called `confirmed` that the robot does not show, and every stop latches.
What the words mean, and what to do: [operate](operate.md).

| the robot … | read | motion | stop | register write |
|---|---|---|---|---|
"""


def page(found: dict[tuple[str, str], Cell]) -> str:
    rows = [
        f"| {title} (`{fault}`) | " + " | ".join(str(found[fault, kind]) for kind in KINDS) + " |"
        for fault, title in FAULTS.items()
    ]
    return HEAD + "\n".join(rows) + "\n"
