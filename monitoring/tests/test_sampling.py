"""The host's figures are those of the time between two looks, and the first look invents none."""

import threading
import time

import pytest

from monitoring.sampling import Host

RATES = ("cpu_percent", "cpu0_percent", "network_rx_bytes_per_s", "disk_write_bytes_per_s")


def values(host: Host) -> dict[str, float]:
    return {one.metric: one.value for one in host.measured()}


def test_the_first_look_has_no_rates_and_the_second_has() -> None:
    host = Host()
    first = values(host)
    assert not any(name in first for name in RATES) and 0 < first["memory_percent"] < 100
    assert not any(name in values(host) for name in RATES), "too soon after: a rate over nothing"
    time.sleep(0.6)
    second = values(host)
    assert all(name in second for name in RATES)
    assert all(0 <= share <= 100 for name, share in second.items() if name.endswith("_percent"))


def test_a_core_that_works_is_seen() -> None:
    host, over = Host(), threading.Event()
    host.measured()

    def work() -> None:
        while not over.is_set():
            sum(range(10_000))

    worker = threading.Thread(target=work)
    worker.start()
    time.sleep(1.5)
    seen = values(host)
    over.set()
    worker.join()
    assert max(share for name, share in seen.items() if name.startswith("cpu") and name != "cpu_percent") > 40


def test_every_number_has_its_unit() -> None:
    host = Host()
    host.measured()
    time.sleep(0.6)
    units = {one.metric: one.unit for one in host.measured()}
    assert all(unit for name, unit in units.items() if name != "load_1m"), units
    assert units["cpu_percent"] == "%" and units["network_tx_bytes_per_s"] == "B/s"


@pytest.mark.parametrize("fell", ["network_rx_bytes_per_s"])
def test_a_counter_that_began_anew_gives_no_rate(fell: str) -> None:
    host = Host()
    host.measured()
    assert host._before is not None
    host._before = host._before._replace(counters={**host._before.counters, fell: 1e18})
    time.sleep(0.6)
    assert fell not in values(host)
