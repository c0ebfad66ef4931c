"""A whole shift with real simulators: 200 commands, 10 stops, 5 refusals, 3 changes of roles. Every figure of every report is what
one counts by hand from the exported rows."""

import json
import math
import threading
import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.utils import timezone

from accounts.models import User
from firmware.models import Command, RobotState
from firmware.simulator import Settings
from robotctl.tests.fixtures import until

pytestmark = [pytest.mark.system, pytest.mark.django_db(transaction=True)]
API = "/api/v1"
DRIVERS = {"oht-01": "alice", "oht-02": "alice", "oht-03": "erin", "oht-04": "ada"}
COMMANDS_EACH = 49  # and a short way to its end
ROUND = ("move", "halt", *("lidar_start", "lidar_stop") * 11, "lidar_start")
ENDS = {"confirmed", "rejected", "failed", "expired", "cancelled", "outcome_unknown"}


def drive(client: Any, slug: str, wrong: list[str]) -> None:
    """Commands as a driver gives them: far away and halted, scans, and at last a short way to its end."""
    done = Command.objects.filter(robot__slug=slug, done_at__isnull=False, name="move")
    for number in range(COMMANDS_EACH):
        name = ROUND[number % len(ROUND)]
        give(client, slug, name, {"target_m": 90.0} if name == "move" else {}, wrong)
    at = client.get(f"{API}/robots/{slug}/state/").json()["readings"]["position_m"]["value"]
    give(client, slug, "move", {"target_m": round(at + 0.3, 2)}, wrong)
    try:
        until(done.exists, timeout_s=30)
    except AssertionError as error:
        wrong.append(f"{slug} did not arrive: {error}")
    connections.close_all()


def give(client: Any, slug: str, name: str, params: dict[str, Any], wrong: list[str]) -> None:
    """One command. On a busy machine a robot may not be online just then: that is refused, counted, and tried again."""
    for _ in range(40):
        answer = client.send(slug, name, params, wait_s=10)
        if answer.status_code == 201:
            return
        time.sleep(0.5)
    wrong.append(f"{slug} {name}: {answer.status_code} {answer.content[:200]!r}")


def shift(api: Any) -> None:
    """What happened in it. 200 commands, then 5 refusals, 10 stops, 4 resets, a broken lease, 3 changes of roles."""
    wrong: list[str] = []
    threads = [threading.Thread(target=drive, args=[api(who), slug, wrong]) for slug, who in DRIVERS.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    refused = [
        api("alice").send("oht-01", "move", {"target_m": "far"}),  # no number
        api("alice").send("oht-04", "move", {"target_m": 20}),  # ada holds control
        api("bob").send("oht-01", "move", {"target_m": 20}),  # may look only
        api("charlie").get(f"{API}/robots/oht-01/"),  # may not even look
        api(None).get(f"{API}/robots/"),
    ]
    assert [answer.status_code for answer in refused] == [400, 409, 403, 404, 401]
    body = {"reason": "shift change"}
    assert api("erin").post(f"{API}/robots/oht-04/lease/break/", body, format="json").status_code == 200
    for who, address in (
        ("bob", "stop/"),
        ("alice", "stop/"),
        ("erin", "robots/oht-03/stop/"),
        ("ada", "robots/oht-04/stop/"),
    ):
        assert api(who).post(f"{API}/{address}", {"reason": "somebody on the rail"}, format="json").status_code == 200
    until(lambda: not RobotState.objects.exclude(stop_status="confirmed").exists(), timeout_s=30)
    for slug in DRIVERS:
        answer = api("erin").post(f"{API}/robots/{slug}/stop/reset/", {"reason": "rail is clear"}, format="json")
        assert answer.json()["status"] == "confirmed", answer.json()
    for who, role in (("charlie", "viewer"), ("bob", "operator"), ("charlie", "guest")):
        assert api("ada").patch(f"{API}/users/{who}/", {"role": role}, format="json").status_code == 200
    wrong_password = {"username": "bob", "password": "guessed-wrongly"}
    assert api(None).post(f"{API}/auth/login/", wrong_password, format="json").status_code == 401


def exported(client: Any, file: Path) -> list[dict[str, Any]]:
    """The journal as an auditor gets it: `journal/export/` into a file, and its rows as plain dicts."""
    answer = client.get(f"{API}/journal/export/?as=jsonl")

    async def pieces() -> list[bytes]:
        return [piece async for piece in answer.streaming_content]

    file.write_bytes(b"".join(async_to_sync(pieces)()))
    answer.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [line["row"] for line in lines if "row" in line]


def nearest(values: list[float], percent: int) -> float | None:
    """Nearest rank, as in the books."""
    ordered = sorted(values)
    return round(ordered[math.ceil(len(ordered) * percent / 100) - 1], 3) if ordered else None


def figures(report: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one["value"] for one in report["figures"]}


def lines(report: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A table's rows as dicts."""
    (table,) = [one for one in report["tables"] if one["name"] == name]
    return [dict(zip([column["name"] for column in table["columns"]], row, strict=True)) for row in table["rows"]]


def test_every_figure_of_a_shift_is_what_the_exported_rows_say(
    robots: Any, api: Any, polling: Any, tmp_path: Path
) -> None:
    for slug in DRIVERS:
        robots(slug, settings=Settings(lidar=True))
    polling()
    shift(api)
    until(lambda: not Command.objects.filter(ended_at=None).exists(), timeout_s=20)
    otto, until_now = api("otto"), timezone.now()
    time.sleep(1)  # whatever was written before is committed now
    begins = until_now - timedelta(days=7)
    exported_rows = exported(otto, tmp_path / "export.jsonl")
    rows = [row for row in exported_rows if begins <= datetime.fromisoformat(row["at"]) < until_now]
    period = {"from": begins.isoformat(), "until": until_now.isoformat()}
    for name, check in CHECKS.items():
        answer = otto.get(f"{API}/reports/{name}/", period)
        assert answer.status_code == 200, answer.content
        check(answer.json(), rows)


def check_operations(report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    names = dict(User.objects.values_list("pk", "username"))
    asked = [row for row in rows if row["verb"] in ("command.accepted", "command.awaiting_approval")]
    ended = [row for row in rows if row["verb"].removeprefix("command.") in ENDS and row["verb"].startswith("command.")]
    refused = [row for row in rows if row["verb"] == "command.refused"]
    kinds = Counter(row["verb"].removeprefix("command.") for row in ended)
    told = figures(report)
    assert told["asked"] == len(asked) == 200
    assert told["refused"] == len(refused) >= 2
    assert told["confirmed"] == kinds["confirmed"] > 150
    assert told["unknown"] == kinds["outcome_unknown"]
    assert told["not_confirmed"] == len(ended) - kinds["confirmed"] - kinds["outcome_unknown"]
    assert len(ended) == 200
    by_robot = {line["robot"]: line for line in lines(report, "by_robot")}
    by_person = {line["person"]: line for line in lines(report, "by_person")}
    assert {slug: by_robot[slug]["asked"] for slug in DRIVERS} == Counter(row["robot"] for row in asked)
    assert {who: line["asked"] for who, line in by_person.items() if line["asked"]} == Counter(
        names[row["actor_id"]] for row in asked
    )
    assert {who: line["refused"] for who, line in by_person.items() if line["refused"]} == Counter(
        names[row["actor_id"]] for row in refused
    )
    outcomes = {line["outcome"]: line["count"] for line in lines(report, "by_outcome")}
    assert {outcome: count for outcome, count in outcomes.items() if count} == kinds
    assert {line["code"]: line["count"] for line in lines(report, "refused")} == Counter(
        row["data"]["code"] for row in refused
    )
    shifts = Counter[str]()
    for row in asked:
        hour = datetime.fromisoformat(row["at"]).hour
        shifts["06:00–14:00" if 6 <= hour < 14 else "14:00–22:00" if 14 <= hour < 22 else "22:00–06:00"] += 1
    assert {line["shift"]: line["asked"] for line in lines(report, "by_shift") if line["asked"]} == shifts
    accepted = {row["data"]["command"]: datetime.fromisoformat(row["at"]) for row in asked}
    confirmed = [row for row in ended if row["verb"] == "command.confirmed"]
    assert told["confirmed_p50"] == nearest([row["data"]["took_s"] for row in confirmed], 50)
    assert told["confirmed_p95"] == nearest([row["data"]["took_s"] for row in confirmed], 95)
    for row in confirmed:
        between = (datetime.fromisoformat(row["at"]) - accepted[row["data"]["command"]]).total_seconds()
        assert abs(row["data"]["took_s"] - between) < 5, "but for the time that a row waits to be written"
    done = [row["data"]["took_s"] for row in rows if row["verb"] == "command.done"]
    assert (told["done_p50"], told["done_p95"]) == (nearest(done, 50), nearest(done, 95))


def check_security(report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    many: Counter[str] = Counter()
    for row in rows:
        many[row["verb"]] += row["data"].get("count", 1)
    told = figures(report)
    assert told["sign_in_failures"] == many["auth.sign_in_failed"] == 1
    assert told["refused_access"] == sum(count for verb, count in many.items() if verb.startswith("access.")) == 3
    assert told["refused_orders"] == many["command.refused"] + many["lease.refused"] + many["reset.refused"] >= 2
    assert told["lockouts"] == many["auth.locked_out"] == 0
    changes = [row for row in rows if row["verb"] == "user.changed" and "role" in row["data"]["changes"]]
    listed = [
        line for line in lines(report, "privileges") if line["verb"] == "user.changed" and "role: " in line["change"]
    ]
    assert len(listed) == len(changes) == 3
    assert [line["change"] for line in reversed(listed)] == [
        f"role: {row['data']['changes']['role'][0]} → {row['data']['changes']['role'][1]}" for row in changes
    ]
    assert {line["person"] for line in listed} == {"ada"}


def check_interventions(report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    stops = [row for row in rows if row["verb"] == "stop.requested"]
    took = [row["data"]["took_s"] for row in rows if row["verb"] == "stop.confirmed"]
    later: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["verb"] in ("stop.confirmed", "reset.confirmed"):
            later[row["robot"]].append(f"{row['at']} {row['verb']}")
    first = [next((one for one in later[row["robot"]] if one[:26] >= row["at"][:26]), "") for row in stops]
    told = figures(report)
    assert told["stops"] == len(stops) == 10
    assert told["confirmed"] == sum(one.endswith("stop.confirmed") for one in first)
    assert told["never_confirmed"] == len(stops) - told["confirmed"]
    assert told["late"] == sum(row["late"] for row in stops)
    assert told["confirmed_p50"] == nearest(took, 50)
    assert told["confirmed_p95"] == nearest(took, 95)
    assert told["confirmed_longest"] == round(max(took), 3)
    assert told["resets"] == sum(row["verb"] == "reset.confirmed" for row in rows) == 4
    assert told["broken_leases"] == sum(row["verb"] == "lease.broken" for row in rows) == 1
    assert told["unknown_outcomes"] == sum(row["verb"] == "command.outcome_unknown" for row in rows)
    assert {line["reason"] for line in lines(report, "resets")} == {"rail is clear"}
    assert [line["holder"] for line in lines(report, "leases")] == ["ada"]
    assert Counter(line["person"] for line in lines(report, "stops")) == {"bob": 4, "alice": 4, "erin": 1, "ada": 1}


def check_record(report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    told, numbers = figures(report), [row["id"] for row in rows]
    assert told["rows"] == len(rows)
    assert told["late"] == sum(row["late"] for row in rows)
    assert told["missing_ids"] == max(numbers) - min(numbers) + 1 - len(numbers)
    assert sum(line["missing"] for line in lines(report, "gaps")) == told["missing_ids"]
    assert sum(line["rows"] for line in lines(report, "days")) == len(rows)
    assert told["missing_triggers"] == 0


def check_access_review(report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    names = dict(User.objects.values_list("pk", "username"))
    acted = {names[row["actor_id"]] for row in rows if row["actor_id"] in names} | {"otto"}  # who exported it since
    told = figures(report)
    assert told["people"] == len(names)
    assert told["dormant"] == len(set(names.values()) - acted)
    stopped = {names[row["actor_id"]] for row in rows if row["verb"] == "stop.requested"}
    unused = {line["person"] for line in lines(report, "unused") if line["right"] == "robot.stop"}
    assert unused == set(names.values()) - stopped - {"charlie"}, "charlie may stop nothing"


def check_drift(report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    wanted = {(row["robot"], row["data"]["setting"]) for row in rows if row["verb"] == "setting.desired"}
    assert figures(report)["robots"] == len(DRIVERS)
    assert len(lines(report, "settings")) == len(wanted) == 0


CHECKS = {
    "operations": check_operations,
    "security": check_security,
    "interventions": check_interventions,
    "record": check_record,
    "access-review": check_access_review,
    "drift": check_drift,
}
