"""A profile: one TOML file that says how a kind of robot is spoken to. Loaded once, validated whole, then only read."""

import functools
import re
import tomllib
from pathlib import Path

import msgspec

from firmware import profile_checks
from firmware.errors import BadProfile
from firmware.profile_language import MACHINE_STATE, About, Field, Profile, Read, Source, Stop

FOLDER = Path(__file__).parent / "profiles"


def available() -> list[str]:
    """The names of the installed profiles."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@functools.cache
def load(name: str) -> Profile:
    """The installed profile `name`. Raises BadProfile with file, key and reason."""
    path = FOLDER / f"{name}.toml"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or not path.is_file():
        raise BadProfile(f"{name}.toml", "", f"there is no such profile; installed are {', '.join(available())}")
    return parse(path.read_text(), path.name)


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
    """A profile from TOML text. Raises BadProfile with file, key and reason."""
    try:
        profile = msgspec.convert(tomllib.loads(text), Profile)
    except tomllib.TOMLDecodeError as error:
        raise BadProfile(file, "", f"not TOML: {error}") from error
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise BadProfile(file, where.strip("`.") or "(top)", reason) from error
    for key, reason in profile_checks.problems(profile):
        raise BadProfile(file, key, reason)
    return profile
