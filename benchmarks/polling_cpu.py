"""CPU for one poll read, with everything the client adds, against a bare `requests.Session().get(…).json()`."""

import statistics

import requests

from benchmarks import running
from benchmarks.measure import Figure, alternate, cpu_us, spread
from firmware import profile
from firmware.client import RobotClient

READS = 200


def run() -> list[Figure]:
    with running.simulator() as url:
        client = RobotClient(slug="bench", base_url=url, profile=profile.load("oht50"), credentials={})
        path = client.profile.reads["state"].path
        session = requests.Session()
        headers = {"Connection": "close"}
        ours, bare = alternate(
            lambda: cpu_us(lambda: client.read("state", polling=True), READS),
            lambda: cpu_us(lambda: session.get(url + path, headers=headers, timeout=5).json(), READS),
            rounds=7,
        )
        client.close()
        session.close()
    subject, floor = statistics.median(ours), statistics.median(bare)
    ratio = subject / floor
    return [Figure("polling, CPU per robot read", subject, floor, ratio, "≤ 1.0×", ratio <= 1.0, "µs", spread(ours))]
