"""Five people at today's firmware, which fails in random ways: it survives us, and nothing is called confirmed that is not so.

Ten seconds here; ROBOTCTL_RUN_S=600 makes it ten minutes.
"""

import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from accounts.models import JournalEntry
from firmware.models import Command, RobotState
from robotctl.tests.fixtures import until

pytestmark = [pytest.mark.system, pytest.mark.django_db(transaction=True)]
RUN_S = float(os.environ.get("ROBOTCTL_RUN_S", "10"))
FAULTS = ("hang", "slow", "no_reply_once", "reset_by_peer", "error", "garbage", "cut", "html", "deny", "refuse")
BASE = "/api/v1/robots/oht-01"


class Crowd:
    """The people, what they did, and what was wrong with it."""

    def __init__(self, api: Any, simulator: Any) -> None:
        self.api, self.simulator = api, simulator
        self.ends = time.monotonic() + RUN_S
        self.did: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self._live, args=[who, act]) for who, act in self.people()]
        threads.append(threading.Thread(target=self._misbehave))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def people(self) -> list[tuple[str, Callable[[Any], None]]]:
        return [
            ("alice", self.move),
            ("bob", self.stop),
            ("erin", self.reset),
            ("ada", self.write_and_approve),
            ("otto", self.look),
        ]

    def _live(self, who: str, act: Callable[[Any], None]) -> None:
        client, rng = self.api(who), random.Random(who)
        while time.monotonic() < self.ends:
            try:
                act(client)
            except Exception as error:  # noqa: BLE001 - told at the end, with the others
                self.wrong.append(f"{who}: {error!r}")
            time.sleep(rng.uniform(0.0, 0.3))
        connections.close_all()

    def _misbehave(self) -> None:
        rng = random.Random(7)
        while time.monotonic() < self.ends:
            self.simulator.fault(rng.choice(FAULTS))
            time.sleep(rng.uniform(0.1, 1.5))
            self.simulator.clear()
            time.sleep(rng.uniform(1.0, 4.0))
        self.simulator.clear()

    def _told(self, what: str, answer: Any) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        self.did[f"{what} {body.get('status') if answer.status_code < 300 else body.get('code')}"] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self.wrong.append(f"{what}: {answer.status_code} {body}")
        return body

    def move(self, client: Any) -> None:
        body = self._told("move", client.send("oht-01", "move", {"target_m": 90}, wait_s=5))
        if body.get("status") == "confirmed":
            self.wrong.append(f"today's firmware moves nobody, yet: {body}")

    def stop(self, client: Any) -> None:
        before = self.simulator.truth()
        (result,) = client.post(f"{BASE}/stop/").json()["results"]
        self.did[f"stop {result['status']}"] += 1
        stopped_anew = self.simulator.truth()["estop_count"] > before["estop_count"]
        if result["status"] == "confirmed" and not (stopped_anew or before["state"] == "ESTOP"):
            self.wrong.append(f"confirmed, and the robot was not stopped: {result}")
        time.sleep(6.0)

    def reset(self, client: Any) -> None:
        answer = client.post(f"{BASE}/stop/reset/", {"reason": "again"}, format="json")
        self._told("reset", answer)

    def write_and_approve(self, client: Any) -> None:
        key = {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
        asked = client.post(f"{BASE}/modules/2/registers/0x0030/", {"value": 28, "reason": "x"}, format="json", **key)
        body = self._told("write", asked)
        if body.get("status") == "awaiting_approval":
            agreed = self.api("erin").post(f"/api/v1/commands/{body['id']}/approve/", {"wait_s": 3}, format="json")
            self._told("approved write", agreed)

    def look(self, client: Any) -> None:
        document = client.get(f"{BASE}/state/").json()
        told = document["machine_state"]
        if told["quality"] == "live" and told["age_s"] > document["link"]["live_for_s"]:
            self.wrong.append(f"live, and too old: {told}")
        self.did[f"look {document['mode']}"] += 1


def test_five_people_and_a_robot_that_fails(robots: Any, api: Any, polling: Any) -> None:
    from firmware.simulator import Settings

    settings = Settings(dialect="observed", boot_s=0.0, register_write_s=(0.3, 0.6), modules=True)
    _, simulator = robots("oht-01", settings=settings)
    polling()
    crowd = Crowd(api, simulator)
    crowd.run()
    print(dict(sorted(crowd.did.items())))
    assert not simulator.died, "its firmware has died: a client hung up before it was answered"
    assert crowd.wrong == []
    assert {what.split()[0] for what in crowd.did} >= {"move", "stop", "reset", "look"}
    until(lambda: not Command.objects.filter(ended_at=None).exclude(status="awaiting_approval").exists(), timeout_s=90)
    sent_twice = Command.objects.filter(attempts__gt=1)
    assert not sent_twice.exists()
    row = RobotState.objects.get()
    if row.stop_latched:
        until(lambda: RobotState.objects.get().stop_status == "confirmed", timeout_s=150)
        stands = (
            simulator.truth()["state"] == "ESTOP"
        )  # or a reset that nobody heard the end of let it out, and that is told
        until(lambda: stands or RobotState.objects.get().stop_left_at is not None)
    presses = JournalEntry.objects.filter(verb="stop.requested").count()
    assert presses == sum(count for what, count in crowd.did.items() if what.startswith("stop ")), (
        "each press has its row"
    )
