"""The suite's options, as the command line gave them; whoever mistypes one hears it before anything runs."""

from pathlib import Path
from typing import Any

import pytest


def check(config: pytest.Config) -> None:
    """Raises UsageError, in words that repeat no credential."""
    named, url = config.getoption("contract_profile"), config.getoption("contract_url")
    if bool(named) is not bool(url):
        raise pytest.UsageError("The contract suite needs both --profile and --url, or neither.")
    if named and named.endswith(".toml") and not Path(named).is_file():
        raise pytest.UsageError(f"--profile {named}: there is no such file.")
    for option in ("credential", "setting"):
        given = config.getoption(f"contract_{option}")
        if given and not url:
            raise pytest.UsageError(f"--{option} belongs to the robot at --url.")
        if any("=" not in one for one in given):
            raise pytest.UsageError(f"--{option} is given as NAME=VALUE.")


def pairs(config: pytest.Config, option: str) -> dict[str, Any]:
    """`--credential` or `--setting`, given as NAME=VALUE any number of times."""
    given: list[str] = config.getoption(f"contract_{option}")
    return {name: value for name, _, value in (one.partition("=") for one in given)}
