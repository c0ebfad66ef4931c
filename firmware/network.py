"""Which addresses a robot may have. Checked when a robot is registered, and again on the very address connected to."""

import functools
import ipaddress
import socket
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.exceptions import ValidationError

from firmware.errors import Forbidden, Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
DEFAULT_PORTS = {"http": 80, "https": 443}
SERVICE_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "mysql": 3306}


@functools.lru_cache(maxsize=4096)
def _plain(text: str) -> Address:
    """The address itself, out of IPv6's ways to wrap an IPv4 one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


@functools.cache
def _own_services() -> frozenset[tuple[str, int]]:
    """(host, port) of our own bus and database."""
    found: set[tuple[str, int]] = set()
    bus = urlsplit(settings.REDIS_URL)
    if bus.hostname:
        found.add((bus.hostname, bus.port or SERVICE_PORTS["redis"]))
    for database in settings.DATABASES.values():
        if "sqlite" not in database["ENGINE"]:
            port = database.get("PORT") or SERVICE_PORTS[database["ENGINE"].rsplit(".", 1)[-1]]
            host = str(database.get("HOST") or "")
            # A server reached by its Unix socket usually listens on the loopback interface as well.
            found.add(("127.0.0.1" if not host or host.startswith("/") else host, int(port)))
    return frozenset(found)


def _is_own_service(address: Address, port: int) -> bool:
    """Whether our bus or database answers there. One on this host does so at every address of this host."""
    for host, service_port in _own_services():
        if port != service_port:
            continue
        try:
            theirs = {_plain(str(info[4][0])) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError):
            continue
        if address in theirs or (_is_this_host(address) and any(map(_is_this_host, theirs))):
            return True
    return False


def _is_this_host(address: Address) -> bool:
    """The kernel gives a socket only an address that is its own."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def refusal(text: str, port: int) -> str | None:
    """Why a robot may not have this address; None when it may."""
    address = _plain(text)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return f"{address} is a link-local, multicast or unspecified address"
    if _is_own_service(address, port):
        return f"{address}:{port} is robotctl's own bus or database"
    if not any(address in network for network in settings.ENV.robot_networks):
        return f"{address} is outside ROBOT_NETWORKS ({', '.join(map(str, settings.ENV.robot_networks))})"
    return None


def resolve(host: str, port: int) -> list[str]:
    """The addresses to connect to, best first. Raises Unreachable when the name is unknown, Forbidden when none is allowed."""
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"The name {host} cannot be resolved: {error}") from error
    reasons = {text: refusal(text, port) for text in found}
    allowed = [text for text, reason in reasons.items() if reason is None]
    if not allowed:
        raise Forbidden("; ".join(filter(None, reasons.values())))
    return allowed


def check_base_url(url: str) -> None:
    """Validator of a robot's base URL. Raises ValidationError in words."""
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:  # its words may quote what somebody took for the place of a password
        raise ValidationError("This is not an address: give it as http://host:port or https://host:port.") from None
    if "@" in url:
        raise ValidationError("Credentials do not belong into the address; give them as credentials.")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not port:
        raise ValidationError("Give the robot's address as http://host:port or https://host:port.")
    if "\\" in url or any(char.isspace() or not char.isprintable() for char in url):
        raise ValidationError("The address must not have spaces, backslashes or control characters.")
    if parts.query or parts.fragment:
        raise ValidationError("The address must not have a query or a fragment.")
    try:
        requests.Request("GET", url).prepare()
    except requests.RequestException as error:
        raise ValidationError(f"This is not an address: {error}.") from error
    try:
        resolve(parts.hostname, port)
    except Forbidden as error:
        raise ValidationError(f"A robot may not have this address: {error}.") from error
    except Unreachable:
        pass  # a robot may be registered before its name is known; connecting checks again
