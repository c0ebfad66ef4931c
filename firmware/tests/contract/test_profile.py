"""The profile itself: nothing is wrong with it."""

from typing import Any

from firmware import profile
from firmware.tests.contract.kinds import Kind


def test_the_profile_has_no_problems(kind: Kind, saw: Any) -> None:
    """profile"""
    installed = ", ".join(profile.available())
    assert kind.file.is_file(), f"there is no profile {kind.profile!r}; installed are {installed}"
    spec, faults = profile.examine(kind.file.read_text())
    assert not faults, f"{kind.file.name}: {'; '.join(map(str, faults))}"
    assert spec is not None
    parts = f"{len(spec.reads)} reads, {len(spec.fields)} fields, {len(spec.commands)} commands"
    saw(f"{spec.about.title}: {parts}, no problems")
