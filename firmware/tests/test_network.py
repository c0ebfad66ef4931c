"""Which addresses a robot may have, however they are written and whatever a name server says."""

import dataclasses
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from firmware import network
from firmware.errors import Forbidden, Unreachable
from firmware.tests.conftest import MakeClient, http
from firmware.tests.test_client import Scripted
from firmware.tests.test_transport import STATE, error_of


class Settings:
    """robotctl's settings with other networks, bus and database."""

    def __init__(self, networks: str, bus: str, databases: dict[str, Any]) -> None:
        allowed = [ipaddress.ip_network(each) for each in networks.split(",")]
        self.ENV = dataclasses.replace(settings.ENV, robot_networks=allowed)
        self.REDIS_URL, self.DATABASES = bus, databases


@pytest.fixture(autouse=True)
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Everything is allowed, and bus and database are TCP servers on this host."""

    def use(networks: str = "0.0.0.0/0,::/0", bus: str = "redis://127.0.0.1:6379/0", host: str = "localhost") -> None:
        database = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": "5432"}}
        monkeypatch.setattr(network, "settings", Settings(networks, bus, database))
        network._own_services.cache_clear()

    use()
    yield use
    network._own_services.cache_clear()


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%lo",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "239.255.255.250",
        "ff02::1",
    ],
)
def test_link_local_multicast_and_unspecified_addresses_are_refused_in_every_network(address: str) -> None:
    assert "link-local, multicast or unspecified" in str(network.refusal(address, 80))


@pytest.mark.parametrize("port", [6379, 5432])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.2", "127.9.9.9"])
def test_our_own_bus_and_database_are_refused_at_every_address_of_this_host(address: str, port: int) -> None:
    assert "own bus or database" in str(network.refusal(address, port))
    assert network.refusal(address, 8080) is None


def test_our_own_database_is_refused_at_the_address_that_others_see(services: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        ours = probe.getsockname()[0]
    assert "own bus or database" in str(network.refusal(ours, 5432))
    services(host="/var/run/postgresql")
    assert "own bus or database" in str(network.refusal("127.0.0.1", 5432))
    services(host="192.0.2.7")
    assert network.refusal("127.0.0.1", 5432) is None
    assert "own bus or database" in str(network.refusal("192.0.2.7", 5432))


def test_outside_robot_networks_nothing_is_allowed(services: Any) -> None:
    services("10.20.0.0/16,fd00::/8")
    assert network.refusal("10.20.255.1", 80) is None
    assert network.refusal("::ffff:10.20.0.1", 80) is None
    assert network.refusal("fd00::1", 80) is None
    for address in ("10.21.0.1", "127.0.0.1", "8.8.8.8", "::1", "::ffff:8.8.8.8", "2001:db8::1"):
        assert "outside ROBOT_NETWORKS (10.20.0.0/16, fd00::/8)" in str(network.refusal(address, 80))


@pytest.mark.parametrize(
    "host",
    ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662", "0xa9.0xfe.43518", "[::ffff:a9fe:a9fe]"],
)
def test_an_address_in_disguise_is_seen_through(host: str) -> None:
    with pytest.raises(Forbidden, match=r"169\.254\.169\.254"):
        network.resolve(host.strip("[]"), 80)
    with pytest.raises(ValidationError, match="may not have this address"):
        network.check_base_url(f"http://{host}/")


@pytest.mark.parametrize("host", ["0", "0x0", "[::]", "0.0.0.0", "00.0.0.0"])
def test_nothing_in_disguise_is_seen_through(host: str) -> None:
    with pytest.raises(ValidationError, match="may not have this address"):
        network.check_base_url(f"http://{host}:8080")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "127.0.0.1:8080",
        "http://",
        "http://:8080",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://[::1",
        "http://user@127.0.0.1",
        "http://user:secret@127.0.0.1",
        "http://@127.0.0.1",
        "http://127.0.0.1\\@192.0.2.1",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1/#a",
        "http://127.0.0.1\n",
        "http://127.0.0.1/a b",
        "http://127.0.0.1\t:80",
        "http://*",
        "",
    ],
)
def test_what_is_no_robots_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        network.check_base_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "https://127.0.0.1", "http://[::1]:8080/", "http://127.0.0.1/prefix", "http://x.invalid"],
)
def test_an_ordinary_address_is_allowed(url: str) -> None:
    network.check_base_url(url)


def test_a_name_that_nobody_knows_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"no-such-robot\.invalid"):
        network.resolve("no-such-robot.invalid", 80)


def answers(*addresses: str) -> Any:
    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (text, port)) for text in addresses]

    return getaddrinfo


def test_a_name_may_lead_only_to_those_of_its_addresses_that_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("169.254.169.254", "10.0.0.1", "fe80::1"))
    assert network.resolve("robot", 80) == ["10.0.0.1"]
    monkeypatch.setattr(socket, "getaddrinfo", answers("169.254.169.254", "0.0.0.0"))
    with pytest.raises(Forbidden, match=r"169\.254\.169\.254.*; 0\.0\.0\.0"):
        network.resolve("robot", 80)


def test_the_address_connected_to_is_the_address_that_was_checked(
    scripted: Scripted, client_for: MakeClient, monkeypatch: pytest.MonkeyPatch, services: Any
) -> None:
    good, evil = scripted(http(STATE)), scripted(http(STATE))
    services("127.0.0.1/32")
    asked: list[str] = []

    def rebinding(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)  # the first answer is allowed, every later one leads elsewhere
        return answers("127.0.0.1" if len(asked) == 1 else "127.0.0.2")(host, port)

    client = client_for(f"http://robot.example:{good.port}")
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    client.read("state")
    assert asked == ["robot.example"], "resolved once for each connection"
    assert type(error_of(lambda: client.read("state"))) is Forbidden
    assert len(good.requests) == 1 and evil.requests == []


def test_a_name_with_several_addresses_is_tried_at_each(
    scripted: Scripted, client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = scripted(http(STATE))
    client = client_for(f"http://localhost:{robot.port}")
    monkeypatch.setattr(socket, "getaddrinfo", answers("::1", "127.0.0.1"))
    assert client.read("state").values["machine_state"] == "idle"
    assert f"Host: localhost:{robot.port}".encode() in robot.requests[0]
