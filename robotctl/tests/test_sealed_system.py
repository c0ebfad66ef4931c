"""The running product: the journal is sealed and checked by itself, an intruder in the file is named, nothing ends unsealed."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests

from robotctl.tests.fixtures import until
from robotctl.tests.system import ROOT, System, start

pytestmark = pytest.mark.system


@pytest.fixture(params=["daphne", "uvicorn"])
def own(request: pytest.FixtureRequest) -> Iterator[System]:
    running = start(robots=1, ROBOTCTL_ASGI=request.param)
    yield running
    if running.process.poll() is None:
        running.stop()


def database(system: System) -> "closing[sqlite3.Connection]":
    return closing(sqlite3.connect(system.var / "robotctl.sqlite3", timeout=20, isolation_level=None))


def unsealed(system: System) -> int:
    with database(system) as raw:
        ((count,),) = raw.execute(
            "SELECT count(*) FROM accounts_journalentry WHERE id > (SELECT max(last_id) FROM accounts_seal)"
        )
        return int(count)


def edit(system: System, row: int, reason: str) -> None:
    """As an intruder does it: without the triggers, which are back afterwards."""
    name = "accounts_journalentry_no_update"
    with database(system) as raw:
        ((sql,),) = raw.execute("SELECT sql FROM sqlite_master WHERE name = ?", [name])
        raw.execute("BEGIN IMMEDIATE")
        raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE accounts_journalentry SET reason = ? WHERE id = ?", [reason, row])
        raw.execute(sql)
        raw.execute("COMMIT")


def verified(system: System) -> subprocess.CompletedProcess[str]:
    """`manage.py verify_journal`, of a system that has ended."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "TESTING")}
    return subprocess.run(
        [sys.executable, "manage.py", "verify_journal"],
        cwd=ROOT,
        env=environment | {"ROBOTCTL_VAR": str(system.var)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_edited_row_is_named_within_seconds_and_nothing_ends_unsealed(own: System) -> None:
    def journal_check() -> dict[str, str]:
        checks: dict[str, dict[str, str]] = requests.get(f"{own.url}/health/ready", timeout=5).json()["checks"]
        return checks["journal"]

    until(lambda: own.call("auditor", "GET", "journal/verify/").json()["seals"] >= 1, timeout_s=40)
    until(lambda: "the whole checked at 2" in journal_check()["detail"], timeout_s=30, tell=journal_check)
    edit(own, 3, "nothing happened here")
    words = "Row 3 was altered after it was sealed."
    until(lambda: words in journal_check()["detail"], timeout_s=25, tell=journal_check)
    assert journal_check()["status"] == "degraded"
    verdict = own.call("auditor", "GET", "journal/verify/").json()
    assert (verdict["intact"], [one["words"] for one in verdict["findings"]]) == (False, [words])
    own.call("viewer", "POST", "robots/oht-01/stop/", {"reason": "the last thing that happens"})
    assert own.stop() == 0
    assert unsealed(own) == 0, (own.var / "log" / "last.log").read_text()
    told = verified(own)
    assert (told.returncode, words in told.stdout) == (1, True), told.stdout + told.stderr
    edit(own, 3, "")
    told = verified(own)
    assert (told.returncode, "Intact." in told.stdout) == (0, True), told.stdout + told.stderr


def test_the_head_of_each_seal_is_in_the_log_of_who_sealed(system: System) -> None:
    """Beside the database, and not in a file that each seal writes over: what an auditor compares an export with."""

    def logged() -> bool:
        newest = system.call("auditor", "GET", "journal/state/").json()["seals"]  # 0: it has just started
        told = "".join(file.read_text(errors="replace") for file in (system.var / "log").glob("*.log*"))
        return newest > 0 and re.search(rf"journal\.sealed .*number={newest}\b", told) is not None

    until(logged, timeout_s=30, every_s=0.5)
