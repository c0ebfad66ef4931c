"""A profile: one TOML file that says how a kind of robot is spoken to. Loaded once, validated whole, then only read.

Shipped ones are in `firmware/profiles/`, one's own in `$ROBOTCTL_VAR/profiles/`. A file that changes is read again within a
second; while it is wrong, the last one that was right goes on: a typo takes no robot's stop away.
"""

import os
import re
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog
from django.conf import settings

from firmware.errors import BadProfile
from firmware.language import checks, structure
from firmware.language.actions import Stop
from firmware.language.examples import example
from firmware.language.kind import Profile
from firmware.language.lines import line_of
from firmware.language.mending import follows, mended
from firmware.language.reads import About, Field, Read, Source
from firmware.language.structure import Fault
from firmware.language.words import MACHINE_STATE

SHIPPED = Path(__file__).parent / "profiles"
KEPT = ".last-right"
LOOK_AGAIN_S = 1.0
log = structlog.get_logger(__name__)


def folders() -> list[Path]:
    """Where profiles are, one's own first."""
    return [Path(settings.ENV.var) / "profiles", SHIPPED]


def available() -> list[str]:
    """The names of the installed profiles."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.toml")})


@dataclass
class _Loaded:
    profile: Profile
    version: str
    looked_at: float  # monotonic


_loaded: dict[str, _Loaded] = {}


def load(name: str) -> Profile:
    """The installed profile `name`. Raises BadProfile with file, key and reason."""
    return _current(name).profile


def title(name: str) -> str:
    """What people call this kind of robot; of a file that is wrong, that it is."""
    try:
        return load(name).about.title
    except BadProfile:
        return f"{name} (cannot be used: see check_profile)"


def version(name: str) -> str:
    """Changes when the profile's file does; empty when there is none that can be used."""
    try:
        return _current(name).version
    except BadProfile:
        return ""


def _current(name: str) -> _Loaded:
    known = _loaded.get(name)
    now = time.monotonic()
    if known is not None and now - known.looked_at < LOOK_AGAIN_S:
        return known
    paths = _paths(name)
    try:
        found = _stamp(paths[0])
    except FileNotFoundError:  # an editor is at it; in a moment it is there again, or gone for good
        found = ""
    if known is not None and known.version.split("|")[0] == found:
        known.looked_at = now
        return known
    _loaded[name] = _newest(paths, found, known)
    return _loaded[name]


def _newest(paths: list[Path], found: str, known: _Loaded | None) -> _Loaded:
    """The first of the files that is right; failing all, the last one that was; where there was none, the shipped one goes on
    in the place of one's own that is wrong: a robot without a profile could not even be stopped."""
    first: BadProfile | None = None
    for path in paths if known is None else paths[:1]:
        try:
            loaded = _Loaded(_read(path), found if first is None else f"{found}|{path}", time.monotonic())
            if path.parent == folders()[0]:
                _keep_copy(path)
            return loaded
        except BadProfile as error:
            first = first or error
            log.warning("profile.not_usable", file=str(path), error=str(error))  # once for each change of the file
    if known is None:
        assert first is not None
        raise first
    return _Loaded(known.profile, f"{found}|{known.version}", time.monotonic())


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{path}:{stat.st_mtime_ns}:{stat.st_size}"


def _read(path: Path) -> Profile:
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except (UnicodeDecodeError, OSError) as error:
        raise BadProfile(path.name, "", f"cannot be read as UTF-8 text: {error}") from error


def _keep_copy(path: Path) -> None:
    """Remember a profile of one's own that was right: for when the file goes, or is wrong when the next process starts."""
    kept = path.parent / KEPT / path.name
    try:
        kept.parent.mkdir(exist_ok=True)
        if not kept.is_file() or kept.read_bytes() != path.read_bytes():
            fresh = kept.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(path.read_bytes())
            fresh.replace(kept)
    except OSError as error:
        log.warning("profile.not_kept", file=path.name, error=str(error))


def _paths(name: str) -> list[Path]:
    """The files of that name, in the order in which they are tried. Raises BadProfile when there is none."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        own, shipped = folders()
        places = [own, own / KEPT, shipped] if (own / f"{name}.toml").is_file() else [shipped, own / KEPT]
        found = [folder / f"{name}.toml" for folder in places if (folder / f"{name}.toml").is_file()]
        if found:
            return found
    _loaded.pop(name, None)
    raise BadProfile(f"{name}.toml", "", f"there is no such profile; installed are {', '.join(available())}")


# Stands in where a robot's own profile cannot be loaded, so that the robot is shown, with nothing read, and not a crash.
UNUSABLE = Profile(
    about=About(title="profile missing"),
    reads={"state": Read(path="/")},
    fields={MACHINE_STATE: Field(sources=[Source(read="state", path="state")], type="text")},
    stop=Stop(path="/", stopped=[]),
)


def load_or_unusable(name: str) -> Profile:
    """The profile for showing a robot; whoever talks to it uses `load`, and hears what is wrong."""
    try:
        return load(name)
    except BadProfile:
        return UNUSABLE


def parse(text: str, file: str) -> Profile:
    """A profile from TOML text. Raises BadProfile with file, key and reason of the first thing that is wrong."""
    profile, faults = examine(text)
    for fault in faults:
        raise BadProfile(file, fault.key, fault.reason)
    assert profile is not None
    return profile


def examine(text: str) -> tuple[Profile | None, list[Fault]]:
    """The profile in `text`, if its structure is right, and what is wrong with it, with line and example.

    All at once: what is wrong in structure, and what contradicts itself in all the rest.
    """
    try:
        raw = tomllib.loads(text.removeprefix("\ufeff"))  # some editors write one
    except RecursionError:
        return None, [Fault("", "not a profile: brackets within brackets without end")]
    except tomllib.TOMLDecodeError as error:
        return None, [_no_toml(str(error))]
    found = list(structure.faults(raw))
    sound = mended(raw, [key for key, _ in found]) if found else raw
    whole = None if sound is None else msgspec.convert(sound, Profile)
    wrong = [key for key, _ in found]
    if whole is not None:
        found += [fault for fault in checks.problems(whole) if not follows(fault, wrong)]
    profile = None if wrong else whole
    told = [
        Fault(key, reason, line_of(text, key), None if SAYS_IT.search(reason) else example(key))
        for key, reason in found
    ]
    return profile, told


SAYS_IT = re.compile(r"; say |must say where|Did you mean")  # an example beside that would only confuse
TOML_MEANS = {
    "Cannot overwrite a value": "a key is given twice",
    "Cannot declare": "a table is given twice",
    "Invalid initial character for a key part": "a key is missing here; a table in braces stands on one line, without a comma at its end",
    "Illegal character '\\n'": "a text in quotes ends on its line",
    "Expected '=' after a key": "a line says: key = value (and comments begin with #)",
    "Invalid statement": "a line says: key = value, or [table]",
    "Invalid value": 'a value is missing or is none; text stands in quotes: "idle"',
    "Cannot mutate immutable namespace": "a table in braces cannot be added to later",
}


def _no_toml(error: str) -> Fault:
    place = re.search(r"at line (\d+)", error)
    means = next((words for begin, words in TOML_MEANS.items() if error.startswith(begin)), None)
    words = f"not TOML: {means}. ({error})" if means else f"not TOML: {error}"
    return Fault("", words, line=int(place[1]) if place else None)
