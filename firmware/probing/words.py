"""What a probe found, as page, JSON and terminal show it; and what each failure means, with the way to mend it."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from firmware import errors, replies

GUIDE = "docs/connect-a-robot.md"


@dataclass(frozen=True)
class Found:
    """A value that the robot gave. `age_s` is how old it was when it came; None where nothing tells."""

    name: str
    title: str
    value: Any
    unit: str | None
    age_s: float | None


@dataclass(frozen=True)
class Step:
    """One step. `ok` None: nothing to judge, or not tried. `mend`: what to do about it. `ms` None: nothing was waited for."""

    name: str
    ok: bool | None
    ms: float | None
    words: str
    mend: str = ""
    status: int | None = None  # HTTP status of a refusal
    found: tuple[Found, ...] = ()
    missing: tuple[str, ...] = ()  # fields that the read is there for and did not give


@dataclass(frozen=True)
class Fit:
    """How well an installed profile fits: share of reads that answer × share of fields found, and why."""

    profile: str
    title: str
    score: float
    why: str
    machine_state: str | None = None


@dataclass
class Report:
    """All that a probe found. `profile` is the one that was named, or that fits best; None: none."""

    url: str
    profile: str | None = None
    title: str = ""
    steps: list[Step] = field(default_factory=list)
    machine_state: Any = None
    machine_state_age_s: float | None = None
    readings: list[Found] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    hung: bool = False  # a request was still unanswered at the end

    @property
    def ok(self) -> bool:
        """Whether the robot can be connected so: its machine state can be read, and it answered whatever it was asked."""
        return self.machine_state not in (None, "unknown") and not self.hung


PATHS_AT_MOST = 24


def paths_in(reply: Any, path: str = "", deep: int = 8) -> Iterator[str]:
    """The JMESPaths of the values in a reply; of a list, those of its first entry."""
    if not deep:
        return
    if isinstance(reply, dict):
        for key, value in reply.items():
            name = key if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) else f'"{replies.printable(key[:60])}"'
            yield from paths_in(value, f"{path}.{name}" if path else name, deep - 1)
    elif isinstance(reply, list) and reply:
        yield from paths_in(reply[0], f"{path}[0]", deep - 1)
    elif path:
        yield path


class Scrubber:
    """Takes secrets out of words, also as HTTP carries them: a robot may repeat in a reply what it was sent."""

    def __init__(self, secrets: list[str]) -> None:
        given = [secret for secret in secrets if secret]
        forms = {form for one in given for form in (one, quote(one, safe=""), base64.b64encode(one.encode()).decode())}
        self._forms = sorted(forms, key=len, reverse=True)  # the longest first: one may be a part of another

    def clean(self, value: Any) -> Any:
        """The same, with … for every secret in a text."""
        if isinstance(value, str):
            for form in self._forms:
                value = value.replace(form, "…")
        return value


def explain(error: errors.FirmwareError) -> tuple[str, str]:
    """(what happened, what to do about it)."""
    return _what(error), _mend(error)


def _what(error: errors.FirmwareError) -> str:
    words = str(error)
    if looks_like_html(error):
        return f"It answered with a web page (HTML, status {error.status}), not with data."
    if hangs(error):
        return (
            "It took the request and has not answered: it hangs. The connection is kept open until it answers, since "
            "hanging up early kills some firmware, and nothing more is asked meanwhile."
        )
    return f"{error.status}: {words}" if error.status and str(error.status) not in words else words


def _mend(error: errors.FirmwareError) -> str:
    if looks_like_html(error):
        return "Probably the wrong port or path, a sign-in page or a proxy. Give the address of the robot's API."
    if isinstance(error, errors.BadReply) and "redirects" in str(error):
        return "Give the address it redirects to; often that is https:// instead of http://."
    return next((mend for kind, mend in MENDS if isinstance(error, kind)), "")


def looks_like_html(error: errors.FirmwareError) -> bool:
    return error.body.lstrip()[:1] == b"<"


def hangs(error: errors.FirmwareError) -> bool:
    """Whether the request is still out."""
    return isinstance(error, errors.NoReply) and "in time" in str(error)


MENDS: tuple[tuple[type[errors.FirmwareError], str], ...] = (
    (errors.Forbidden, "Robots may only be in ROBOT_NETWORKS: add the robot's network there, and start robotctl again."),
    (errors.Unreachable, "Check the address, and that the robot is on and in a network that this host reaches."),
    (errors.NoReply, "Look at the robot. If it answers slowly only, raise `timeout_s`; if it hung up, try https:// or its other port."),
    (errors.NotReached, "The gateway answers, the robot behind it does not: check that it is on and connected."),
    (errors.NotAllowed, "Check the credential, by its name in the profile, and what it may do on the robot."),
    (errors.NotFound, "There is no such path on this robot: another model or version, or its API begins below a path (http://host/base)."),
    (errors.NotNow, "The robot says: not now. Probe again when it is ready."),
    (errors.Rejected, "The robot fails or refuses here, though the path is right: its own log may say why."),
    (errors.Busy, "Probe again once it has answered."),
    (errors.Frozen, "What must change with every measurement stands still: look at the robot's sensor or its program."),
    (errors.BadReply, "The profile's read expects JSON (or its `pattern`): compare with what the robot's documentation promises."),
)  # fmt: skip
