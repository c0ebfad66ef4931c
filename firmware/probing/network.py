"""Up to the first byte of HTTP: may a robot have the address, is its name known, does the port answer, is its TLS sound?

Nothing is sent here but TLS's own handshake.
"""

import socket
import ssl
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import requests.adapters
from cryptography import x509
from django.core.exceptions import ValidationError

from firmware import network
from firmware.errors import Forbidden, Unreachable
from firmware.probing.words import Step

CONNECT_S = 3.0


def shown(url: str) -> str:
    """The address without what may be a secret in it: user, password, query."""
    try:
        parts = urlsplit(url.strip())
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"[:200]
    except ValueError:
        return "(not an address)"


def look(url: str) -> list[Step]:
    """The steps, as far as they get; the last says how it ended."""
    began = time.monotonic()
    try:
        network.check_base_url(url)
    except ValidationError as error:
        mend = (
            "Robots may only be in ROBOT_NETWORKS, which the environment of robotctl sets." if _refused(error) else ""
        )
        # What is wrong may quote a part of the address, and so of a password in it.
        words = " ".join(error.messages) if "@" not in url else "Credentials do not belong into the address."
        return [Step("address", False, _ms(began), words, mend)]
    steps = [Step("address", True, _ms(began), "A robot may have this address.")]
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or network.DEFAULT_PORTS[parts.scheme]
    addresses = _resolve(host, port, steps)
    sock = _connect(addresses, port, steps) if addresses else None
    if sock is None:
        return steps
    with sock:
        if parts.scheme == "https":
            steps.append(_tls(sock, host))
    return steps


def _refused(error: ValidationError) -> bool:
    return "may not have this address" in " ".join(error.messages)


def _ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


def _resolve(host: str, port: int, steps: list[Step]) -> list[str]:
    began = time.monotonic()
    try:
        found = network.resolve(host, port)
    except Unreachable as error:
        mend = "Check the spelling and this host's name server, or give the robot's IP address."
        steps.append(Step("DNS", False, _ms(began), str(error), mend))
        return []
    except Forbidden as error:  # the name changed its address since it was checked
        steps.append(Step("DNS", False, _ms(began), str(error)))
        return []
    words = "It is an IP address; there is no name to look up." if found == [host] else f"{host} is {', '.join(found)}."
    steps.append(Step("DNS", True, _ms(began), words))
    return found


def _connect(addresses: list[str], port: int, steps: list[Step]) -> socket.socket | None:
    began = time.monotonic()
    words, mend = "", ""
    for address in addresses:
        try:
            sock = socket.create_connection((address, port), timeout=CONNECT_S)
        except ConnectionRefusedError:
            words = f"{address} refuses connections on port {port}."
            mend = (
                "The host is there, and nothing listens on this port: check the port, and that the robot's server runs."
            )
        except TimeoutError:
            words = f"No answer from {address}:{port} within {CONNECT_S:g} s."
            mend = "Is the robot on, in this network, and not behind a firewall?"
        except OSError as error:
            words = f"No connection to {address}:{port}: {error.strerror or error}."
            mend = "Check the address and this host's route to the robot's network."
        else:
            steps.append(Step("TCP", True, _ms(began), f"{address} accepts connections on port {port}."))
            return sock
    steps.append(Step("TCP", False, _ms(began), words, mend))
    return None


def _tls(sock: socket.socket, host: str) -> Step:
    """What the robot's certificate is worth to the client, which trusts the same authorities."""
    began = time.monotonic()
    context = ssl.create_default_context(cafile=requests.adapters.DEFAULT_CA_BUNDLE_PATH)
    address = sock.getpeername()[:2]
    try:
        with context.wrap_socket(sock, server_hostname=host) as tls:
            told = _certificate(tls.getpeercert(binary_form=True))
            return Step("TLS", True, _ms(began), f"{tls.version()}, {told}.")
    except ssl.SSLCertVerificationError as error:
        words = f"Its certificate is not trusted: {error.verify_message}. It is {_untrusted(address, host)}."
        mend = "Give the robot a certificate for this very name, from an authority that requests (certifi) trusts."
        return Step("TLS", False, _ms(began), words, mend)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        mend = "This port may speak plain HTTP: try http://."
        return Step("TLS", False, _ms(began), f"No TLS here: {reason}.", mend)


def _untrusted(address: tuple[str, int], host: str) -> str:
    """What a certificate says that is not trusted. Nothing is ever sent over this connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(address, timeout=CONNECT_S) as sock,
            context.wrap_socket(sock, server_hostname=host) as tls,
        ):
            return _certificate(tls.getpeercert(binary_form=True))
    except OSError as error:
        return f"not shown a second time ({error.strerror or error})"


def _certificate(der: bytes | None) -> str:
    if der is None:
        return "no certificate"
    found = x509.load_der_x509_certificate(der)
    left = (found.not_valid_after_utc - datetime.now(UTC)).days
    until = f"{left} days left" if left >= 0 else f"expired {-left} days ago"
    return f"issued by {found.issuer.rfc4514_string() or 'nobody'}, {until}"
