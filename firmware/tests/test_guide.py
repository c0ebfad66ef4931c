"""What the guide shows is right as it stands there: its pieces put together are a profile."""

import re
from pathlib import Path

from firmware import profile

GUIDE = Path(__file__).parents[2] / "docs" / "connect-a-robot.md"


def blocks() -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(), re.M | re.S)


def test_the_pieces_of_the_guide_are_a_profile() -> None:
    whole = "\n".join(block for block in blocks() if "rules = [" not in block)
    _, faults = profile.examine(whole)
    assert [str(fault) for fault in faults] == []


def test_a_state_from_pieces_as_the_guide_has_it_is_right() -> None:
    (rules,) = (block for block in blocks() if "rules = [" in block)
    head = re.sub(r"(?s)\[fields\.machine_state\].*?(?=\[stop\])", "", blocks()[0])
    pieces = """[fields.tripped]
type = "flag"
from = [{ read = "state", path = "guard" }]
[fields.phase]
type = "text"
from = [{ read = "state", path = "phase" }]
"""
    _, faults = profile.examine("\n".join([head, pieces, rules]))
    assert [str(fault) for fault in faults] == []
