"""From the request at the API to the request on the robot's socket, against a direct call of the same transport."""

import statistics
import time
import uuid

from benchmarks import running
from benchmarks.measure import Figure, percentile, spread

COMMANDS = 60


def run() -> list[Figure]:
    with running.product(robots=1) as system:
        added = []
        for index in range(COMMANDS):
            state = system.state("oht-01")
            target = round(state["readings"]["position_m"]["value"] + (0.05 if index % 2 else -0.05), 3)
            body = {"name": "move", "params": {"target_m": target, "speed_mps": 2.0}, "wait_s": 5}
            began = time.time()
            answer = system.call(
                "operator", "POST", "robots/oht-01/commands/", body, **{"Idempotency-Key": uuid.uuid4().hex}
            )
            assert answer.status_code == 201, answer.text
            log = system.control(0)["robots"][0]["log"]
            arrived = [row["at"] for row in log if row["path"].endswith("/segment/start") and row["at"] >= began]
            assert arrived, "the command never reached the robot"
            added.append((arrived[0] - began) * 1000)
            while system.state("oht-01")["machine_state"]["value"] != "idle":
                time.sleep(0.2)
        direct = running.direct_ms(f"http://127.0.0.1:{system.demo[0]['port']}", calls=40)
    floor = statistics.median(direct)
    p50, p99 = statistics.median(added) - floor, percentile(added, 99) - floor
    note = f"p50 of the difference; p99 {p99:.1f} ms (SQLite: ≤ 100 ms)"
    figure = Figure(
        "command, API in → request on the robot's socket",
        statistics.median(added),
        floor,
        statistics.median(added) / floor,
        "≤ 15 ms added p50, ≤ 100 ms p99",
        p50 <= 15 and p99 <= 100,
        f"ms; added {p50:.1f} = {note}",
        spread(added),
    )
    return [figure]
