"""POST stop/ until the slowest of 20 robots reads stopped, while they are polled, against the slowest robot's own answer."""

import statistics
import time

from benchmarks import running
from benchmarks.measure import Figure, percentile, spread

ROBOTS = 20
STOPS = 15


def run() -> list[Figure]:
    with running.product(robots=ROBOTS) as system:
        took, own = [], []
        for _ in range(STOPS):
            began = time.perf_counter()
            results = system.call("viewer", "POST", "stop/").json()["results"]
            took.append((time.perf_counter() - began) * 1000)
            assert {result["status"] for result in results} == {"confirmed"}, results
            own.append(max(running.direct_ms(f"http://127.0.0.1:{robot['port']}", calls=1)[0] for robot in system.demo))
    floor = statistics.median(own)
    p99 = percentile(took, 99) - floor
    goal = f"≤ 100 ms p99 added ({ROBOTS} robots here, without the 500 sockets)"
    unit = f"ms; added p99 {p99:.0f}"
    ratio = statistics.median(took) / floor
    return [
        Figure(
            "stop, POST → all robots read stopped",
            statistics.median(took),
            floor,
            ratio,
            goal,
            p99 <= 100,
            unit,
            spread(took),
        )
    ]
