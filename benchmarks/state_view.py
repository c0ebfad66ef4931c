"""`GET robots/{slug}/state/` against a view of the same server that answers a constant (`/health/live`)."""

import statistics

import requests

from benchmarks import running
from benchmarks.measure import Figure, alternate, spread, wall_ms


def run() -> list[Figure]:
    with running.product(robots=3) as system:
        system.state("oht-01", "operator")
        session = requests.Session()
        session.headers["Authorization"] = f"Token {system.tokens['operator']}"
        ours, bare = alternate(
            lambda: wall_ms(lambda: session.get(f"{system.url}/api/v1/robots/oht-01/state/", timeout=5).json()),
            lambda: wall_ms(lambda: session.get(f"{system.url}/health/live", timeout=5).json()),
            rounds=200,
        )
        session.close()
    subject, floor = statistics.median(ours), statistics.median(bare)
    ratio = subject / floor
    return [Figure("GET robots/{slug}/state/", subject, floor, ratio, "≤ 1.5×", ratio <= 1.5, "ms", spread(ours))]
