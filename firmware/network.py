"""Which addresses a robot may have. Checked when a robot is registered, and again on the very address connected to."""

import functools
import ipaddress
import socket
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from firmware.errors import Forbidden, Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
DEFAULT_PORTS = {"http": 80, "https": 443}
SERVICE_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "mysql": 3306}


def _plain(text: str) -> Address:
    """The address itself, out of IPv6's ways to wrap an IPv4 one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
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
            found.add((database.get("HOST") or "127.0.0.1", int(port)))
    return frozenset(found)


def _is_own_service(address: Address, port: int) -> bool:
    for host, service_port in _own_services():
        if port != service_port:
            continue
        try:
            theirs = {_plain(str(info[4][0])) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, ValueError):
            continue
        if address in theirs:
            return True
    return False


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


def resolve(host: str, port: int) -> str:
    """The one address to connect to. Raises Unreachable when the name is unknown, Forbidden when no address is allowed."""
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"The name {host} cannot be resolved: {error}") from error
    reasons = []
    for text in dict.fromkeys(found):
        reason = refusal(text, port)
        if reason is None:
            return text
        reasons.append(reason)
    raise Forbidden("; ".join(reasons))


def check_base_url(url: str) -> None:
    """Validator of a robot's base URL. Raises ValidationError in words."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        raise ValidationError(f"This is not an address: {error}.") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port is None:
        raise ValidationError("Give the robot's address as http://host:port or https://host:port.")
    if parts.username or parts.password:
        raise ValidationError("Credentials do not belong into the address; give them as credentials.")
    if parts.query or parts.fragment:
        raise ValidationError("The address must not have a query or a fragment.")
    try:
        resolve(parts.hostname, port)
    except Forbidden as error:
        raise ValidationError(f"A robot may not have this address: {error}.") from error
    except Unreachable:
        pass  # a robot may be registered before its name is known; connecting checks again
