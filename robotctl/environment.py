"""What the environment says, read once and checked whole.

Every problem is collected and told at once, in words: a wrong setting stops the start, it never becomes a default.
"""

import base64
import ipaddress
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import environ
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
LONGEST_SOCKET_PATH = 100  # sockaddr_un holds 104 bytes on macOS, 108 on Linux
DEVELOPMENT_NETWORKS = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")


@dataclass(frozen=True)
class Environment:
    """The settings that come from outside, typed."""

    production: bool
    testing: bool
    host: str
    port: int
    var: Path
    database: dict[str, Any]
    redis_url: str
    bus_socket: Path | None  # the embedded bus listens here; None when REDIS_URL names a server
    secret_key: str
    credential_keys: list[str]
    seal_key: str  # signs the journal's seals: base64 of the 32 bytes of an Ed25519 key
    seal_public_keys: list[str]  # those of before, whose seals still count
    robot_networks: list[Network]
    trusted_proxies: list[Network]
    allowed_hosts: list[str]
    log_level: str
    log_format: str
    asgi_server: str
    demo_robots: int
    lock_after_s: int  # a browser session that nobody touches
    journal_keep_days: int  # rows that are older go to an archive; 0: never
    shifts: list[int]  # when they begin, in minutes after midnight UTC, in their order
    registration: bool  # people may register themselves, as guests
    breached_passwords: Path | None  # a list of leaked ones, see accounts/leaked.py


class Reader:
    """Reads variables and remembers every complaint."""

    def __init__(self, source: Mapping[str, str]) -> None:
        self.source = source
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self.source.get(name, "").strip() or default

    def choice(self, name: str, default: str, *options: str) -> str:
        value = self.text(name, default)
        if value not in options:
            self.problems.append(f"{name}={value!r}: expected one of {', '.join(options)}.")
            return default
        return value

    def flag(self, name: str) -> bool:
        value = self.text(name, "false").lower()
        if value not in ("true", "false", "1", "0", "yes", "no"):
            self.problems.append(f"{name}={value!r}: expected true or false.")
        return value in ("true", "1", "yes")

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        if not value.isdigit() or not low <= int(value) <= high:
            self.problems.append(f"{name}={value!r}: expected a whole number from {low} to {high}.")
            return default
        return int(value)

    def items(self, name: str, default: str, parse: Callable[[str], T], what: str) -> list[T]:
        parsed = []
        for item in filter(None, (part.strip() for part in self.text(name, default).split(","))):
            try:
                parsed.append(parse(item))
            except ValueError:
                shown = "an entry" if "KEY" in name else repr(item)  # a key never reaches a message
                self.problems.append(f"{name}: {shown} is not {what}.")
        return parsed

    def file(self, name: str) -> Path | None:
        """A file that can be read, if one is named."""
        path = Path(value).expanduser() if (value := self.text(name, "")) else None
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            self.problems.append(f"{name}={value!r}: there is no file that can be read.")
        return path

    def shifts(self, name: str, default: str) -> list[int]:
        """Starts of shifts, "06:00,14:00", as minutes after midnight."""
        starts = self.items(name, default, _minutes, "a time like 06:00")
        if not starts or starts != sorted(set(starts)):
            self.problems.append(f"{name}: name when the shifts of a day begin, each once, earliest first.")
        return starts

    def required(self, name: str, why: str) -> None:
        if not self.source.get(name, "").strip():
            self.problems.append(f"{name} is required in production: {why}")


def _fernet_key(value: str) -> str:
    Fernet(value)
    return value


def _seal_key(value: str) -> str:
    Ed25519PrivateKey.from_private_bytes(base64.b64decode(value, validate=True))
    return value


def _seal_public_key(value: str) -> str:
    Ed25519PublicKey.from_public_bytes(base64.b64decode(value, validate=True))
    return value


def _new_seal_key() -> str:
    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def _minutes(value: str) -> int:
    clock = time.fromisoformat(value)
    if len(value) != len("06:00"):
        raise ValueError(value)
    return clock.hour * 60 + clock.minute


def _kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in `path`; made there (mode 0600) when it is not. Safe when several processes start together."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        descriptor, fresh = tempfile.mkstemp(dir=path.parent)  # 0600 by nature
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
        try:
            os.link(fresh, path)  # atomic, and refuses to replace what another process made first
        except FileExistsError:
            pass
        finally:
            os.unlink(fresh)
    return path.read_text().strip()


def bus_socket_path(var: Path) -> Path:
    """Where the embedded bus listens: in `var`, or, when that path is too long for a socket, in a short private folder."""
    inside = var / "bus.sock"
    if len(str(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    name = f"robotctl-{os.getuid()}-{sha256(str(var).encode()).hexdigest()[:12]}"
    return Path(tempfile.gettempdir()) / name / "bus.sock"


def _database(reader: Reader, var: Path) -> dict[str, Any]:
    url = reader.text("DATABASE_URL", f"sqlite:///{var}/robotctl.sqlite3")
    try:
        database: dict[str, Any] = environ.Env.db_url_config(url)
        if not database.get("ENGINE"):
            raise ValueError("no engine")
    except (ValueError, KeyError, ImproperlyConfigured):
        reader.problems.append(
            "DATABASE_URL: not a database URL (sqlite:///path or postgres://user:password@host:port/name)."
        )
        return {}
    return database


def read(source: Mapping[str, str] = os.environ) -> Environment:
    """Read and check the environment. Raises ImproperlyConfigured with every problem found."""
    reader = Reader(source)
    production = reader.choice("ENVIRONMENT", "development", "development", "production") == "production"
    _required(reader, production)
    values = _values(reader, production)
    if reader.problems:
        raise ImproperlyConfigured("robotctl cannot start:\n" + "\n".join(f"  - {line}" for line in reader.problems))
    if not production:  # kept in $ROBOTCTL_VAR, so that sessions and credentials outlive a restart
        _kept_secrets(values)
    return Environment(production=production, **values)


def _required(reader: Reader, production: bool) -> None:
    if not production:
        return
    if reader.flag("TESTING"):
        reader.problems.append("TESTING=true does not start with ENVIRONMENT=production: unset one of them.")
    reader.required("SECRET_KEY", "it signs sessions; generate 50 random characters and keep them.")
    reader.required("ROBOTCTL_KEYS", "they encrypt the robots' credentials; generate Fernet keys and keep them.")
    reader.required("ROBOTCTL_SEAL_KEY", "it signs the journal; generate 32 random bytes, base64, and keep them.")
    reader.required("ROBOT_NETWORKS", "the networks that robots may have addresses in, for example 10.20.0.0/16.")
    reader.required("ALLOWED_HOSTS", "the names under which people reach this server.")


def _values(reader: Reader, production: bool) -> dict[str, Any]:
    """What `Environment` holds, by name. What is wrong is added to the reader's problems."""
    var = Path(reader.text("ROBOTCTL_VAR", str(ROOT / "var"))).expanduser().resolve()
    host = reader.text("HOST", "127.0.0.1")
    local_hosts = "*" if host in ("0.0.0.0", "::") else f"127.0.0.1,localhost,[::1],{host}"  # noqa: S104
    redis_url = reader.text("REDIS_URL", "")
    bus_socket = None if redis_url else bus_socket_path(var)
    network = "a network like 10.20.0.0/16"
    return {
        "testing": reader.flag("TESTING"),
        "host": host,
        "port": reader.number("PORT", 8000, 1, 65535),
        "var": var,
        "database": _database(reader, var),
        "redis_url": redis_url or f"unix://{bus_socket}",
        "bus_socket": bus_socket,
        "secret_key": reader.text("SECRET_KEY", ""),
        "credential_keys": reader.items("ROBOTCTL_KEYS", "", _fernet_key, "a Fernet key (32 bytes, url-safe base64)"),
        "seal_key": "".join(reader.items("ROBOTCTL_SEAL_KEY", "", _seal_key, "base64 of 32 bytes")[:1]),
        "seal_public_keys": reader.items("ROBOTCTL_SEAL_PUBLIC_KEYS", "", _seal_public_key, "base64 of 32 bytes"),
        "robot_networks": reader.items("ROBOT_NETWORKS", DEVELOPMENT_NETWORKS, ipaddress.ip_network, network),
        "trusted_proxies": reader.items("TRUSTED_PROXIES", "", ipaddress.ip_network, "an address or network"),
        "allowed_hosts": reader.items("ALLOWED_HOSTS", local_hosts, str, "a host name"),
        "log_level": reader.choice("LOG_LEVEL", "INFO", "DEBUG", "INFO", "WARNING", "ERROR"),
        "log_format": reader.choice("LOG_FORMAT", "json" if production else "console", "console", "json"),
        "asgi_server": reader.choice("ROBOTCTL_ASGI", "daphne", "daphne", "uvicorn"),
        "demo_robots": reader.number("ROBOTCTL_DEMO_ROBOTS", 3, 0, 200),
        "lock_after_s": reader.number("ROBOTCTL_LOCK_AFTER_S", 900, 5, 86_400),
        "breached_passwords": reader.file("ROBOTCTL_BREACHED_PASSWORDS"),
        "journal_keep_days": reader.number("ROBOTCTL_JOURNAL_KEEP_DAYS", 0, 0, 36_500),
        "shifts": reader.shifts("ROBOTCTL_SHIFTS", "06:00,14:00,22:00"),
        "registration": reader.choice("ROBOTCTL_REGISTRATION", "off", "off", "guest") == "guest",
    }


def _kept_secrets(values: dict[str, Any]) -> None:
    keys = values["var"] / "keys"
    try:
        values["secret_key"] = values["secret_key"] or _kept_secret(
            keys / "secret-key", lambda: secrets.token_urlsafe(50)
        )
        values["credential_keys"] = values["credential_keys"] or [
            _kept_secret(keys / "robot-credentials", lambda: Fernet.generate_key().decode())
        ]
        values["seal_key"] = values["seal_key"] or _kept_secret(keys / "journal-seal", _new_seal_key)
    except OSError as error:
        words = f"robotctl cannot write to {values['var']} ({error.strerror}): set ROBOTCTL_VAR to a folder it may write to."
        raise ImproperlyConfigured(words) from error
