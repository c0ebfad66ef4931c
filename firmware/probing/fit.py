"""Which installed profile fits a robot that nobody has named one for. Asks with GET only."""

from typing import Any

from firmware import profile
from firmware.client import Observation, RobotClient
from firmware.errors import BadProfile, FirmwareError, NotAllowed, NotFound
from firmware.language.kind import Profile
from firmware.language.words import MACHINE_STATE
from firmware.probing.asking import Asked, Asker, Target, prepare
from firmware.probing.words import GUIDE, Fit, explain, looks_like_html

FITS_FROM = 0.25  # below, what answered did so by chance


def gets(kind: Profile) -> list[str]:
    """The reads that are plain GETs, those that tell the machine state first."""
    first = kind.reads_of(MACHINE_STATE)
    names = first + [name for name in kind.reads if name not in first]
    return [name for name in names if kind.reads[name].method == "GET"]


def find(target: Target, asker: Asker) -> tuple[list[Fit], list[Asked[Any]]]:
    """Every installed profile and how well it fits, best first; and what was asked, as it came."""
    asked: list[Asked[Any]] = []
    fits = [_fit(target, name, asker, asked) for name in profile.available()]
    return sorted(fits, key=lambda fit: -fit.score), asked


def best(fits: list[Fit]) -> Fit | None:
    """The fit that can be shown in full; None: none fits."""
    return fits[0] if fits and fits[0].score >= FITS_FROM else None


def _fit(target: Target, name: str, asker: Asker, log: list[Asked[Any]]) -> Fit:
    try:
        client = prepare(target, name)
    except BadProfile as error:
        return Fit(name, name, 0.0, f"Not tried: {error}")
    try:
        return _score(client, name, asker, log)
    finally:
        client.close()


def _score(client: RobotClient, name: str, asker: Asker, log: list[Asked[Any]]) -> Fit:
    kind, names = client.profile, gets(client.profile)
    state_reads = [read for read in kind.reads_of(MACHINE_STATE) if read in names]
    if not state_reads:
        return Fit(name, kind.about.title, 0.0, "Not tried: its state is read by POST, which a search does not send.")
    seen, errors = _ask(client, state_reads, asker, log)
    if not seen:
        return Fit(name, kind.about.title, 0.0, f"Its state is not read: {explain(errors[0])[0]}")
    rest, _ = _ask(client, [read for read in names if read not in state_reads], asker, log)
    seen += rest
    values = {field: value for one in seen for field, value in one.values.items()}
    expected = {field for read in names for field, _ in kind.fields_of(read)}
    state = values.pop(MACHINE_STATE, None)
    found = len(values) + (state not in (None, "unknown"))  # "unknown" may be any other robot's word
    telling = f"{len(seen)} of {len(names)} reads answer; {found} of {len(expected)} values found"
    if MACHINE_STATE in expected and state is None:
        return Fit(name, kind.about.title, 0.0, f"{telling}, but its machine state is not among them.")
    score = round(len(seen) / len(names) * found / max(1, len(expected)), 2)
    return Fit(name, kind.about.title, score, f"{telling}.", state)


def _ask(
    client: RobotClient, names: list[str], asker: Asker, log: list[Asked[Any]]
) -> tuple[list[Observation], list[FirmwareError]]:
    asked = [asker.read(client, name) for name in names]
    log += asked
    return [one.value for one in asked if one.value], [one.error for one in asked if one.error]


def advice(asked: list[Asked[Any]]) -> list[str]:
    """What to do when no profile fits, by how the robot answered."""
    errors = [one.error for one in asked if one.error]
    found = ["No installed profile fits this robot."]
    if any(isinstance(error, NotAllowed) for error in errors):
        found.append("It refuses what carries no credential that it knows: give one by the name it has in a profile.")
    if any(looks_like_html(error) for error in errors):
        found.append("It answers with web pages: check the port, or give the path below which its API begins.")
    elif any(isinstance(error, NotFound) for error in errors):
        found.append("It does not know the paths: if its API begins below a path, give it in the address.")
    return [*found, f"Otherwise write a profile: {GUIDE} says how, and `manage.py check_profile` checks it."]
