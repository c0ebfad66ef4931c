"""One's own profiles: found, read again when they change, and, where they are wrong, told all at once with line and mend."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from firmware import profile
from firmware.errors import BadProfile
from firmware.tests.whole_profile import GOOD
from robotctl.tests.fixtures import until


@pytest.fixture
def written() -> Callable[..., str]:
    """`written(text)`: the name of a profile of one's own, made or changed."""

    def write(content: str | bytes, name: str = "") -> str:
        name = name or f"own-{uuid.uuid4().hex[:12]}"
        folder = Path(settings.ENV.var) / "profiles"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


def titled(title: str) -> str:
    return GOOD.replace("A robot", title)


def test_a_profile_that_goes_is_offered_no_more_and_goes_on_for_the_robots_that_have_it(
    written: Callable[..., str],
) -> None:
    name = written(titled("Mine"))
    assert {name, "oht50"} <= set(profile.available())
    assert profile.load(name).about.title == "Mine"
    (Path(settings.ENV.var) / "profiles" / f"{name}.toml").unlink()
    assert name not in profile.available()
    profile._loaded.clear()  # as in a process that starts now
    assert profile.load(name).about.title == "Mine"  # its robots can still be stopped


def test_a_profile_that_is_wrong_when_a_process_starts_is_replaced_by_the_last_that_was_right(
    written: Callable[..., str],
) -> None:
    name = written(titled("Mine"))
    assert profile.load(name).about.title == "Mine"
    written("nonsense", name)
    profile._loaded.clear()
    assert profile.load(name).about.title == "Mine"


def test_ones_own_wins_over_a_shipped_one_of_the_same_name_as_long_as_it_is_there(written: Callable[..., str]) -> None:
    shipped = profile.load("octoprint").about.title
    path = Path(settings.ENV.var) / "profiles" / "octoprint.toml"
    try:
        written(titled("Mine"), "octoprint")
        until(lambda: profile.load("octoprint").about.title == "Mine", timeout_s=2.5)
        assert profile.available().count("octoprint") == 1
    finally:
        path.unlink()
    until(lambda: profile.load("octoprint").about.title == shipped, timeout_s=2.5)


def test_a_changed_profile_is_read_again_within_a_second_as_another_version(written: Callable[..., str]) -> None:
    name = written(titled("First"))
    first, version = profile.load(name), profile.version(name)
    assert profile.load(name) is first
    written(titled("Later"), name)
    until(lambda: profile.load(name).about.title == "Later", timeout_s=1.5)
    assert profile.version(name) not in ("", version)


WRONG_FILES = {"key": GOOD.replace("[stop]", "[stopp]"), "toml": "[about", "empty": "", "utf8": b"\xff\xfe[about]"}


@pytest.mark.parametrize("wrong", WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_profile_that_becomes_wrong_leaves_the_last_right_one_in_force(wrong: Any, written: Any) -> None:
    name = written(titled("Right"))
    right, version = profile.load(name), profile.version(name)
    written(wrong, name)
    until(lambda: profile.version(name) != version, timeout_s=2.5)  # it has been looked at
    assert profile.load(name) is right
    written(titled("Mended"), name)
    until(lambda: profile.load(name).about.title == "Mended", timeout_s=2.5)


@pytest.mark.parametrize("wrong", WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_profile_that_was_never_right_is_refused_by_name(wrong: str | bytes, written: Callable[..., str]) -> None:
    name = written(wrong)
    with pytest.raises(BadProfile, match=rf"^{name}\.toml: "):
        profile.load(name)
    assert profile.version(name) == ""
    assert profile.load_or_unusable(name) is profile.UNUSABLE


def test_a_profile_that_stays_as_it_is_keeps_its_version_and_so_its_clients(written: Callable[..., str]) -> None:
    name = written(titled("Mine"))
    first = profile.version(name)
    time.sleep(profile.LOOK_AGAIN_S + 0.1)
    assert profile.version(name) == first  # although a copy of it has been put by
