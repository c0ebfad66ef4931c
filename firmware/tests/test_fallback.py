"""The mode of a link: tables for what must be, properties for what may never be."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.fallback import ALLOWED, OFFLINE_AFTER_S, Contacts, next_mode

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MODES = sorted(ALLOWED)


def contacts(age_s: float | None, failures: int = 0, successes: int = 9) -> Contacts:
    return Contacts(None if age_s is None else NOW - timedelta(seconds=age_s), failures, successes, live_for_s=3.0)


@pytest.mark.parametrize(("current", "facts", "expected"), [
    ("online", contacts(0.5), "online"),
    ("online", contacts(0.5, failures=1), "online"),
    ("online", contacts(0.5, failures=2), "degraded"),
    ("online", contacts(3.5), "degraded"),
    ("online", contacts(10.0), "offline"),
    ("online", contacts(None), "offline"),
    ("offline", contacts(0.1, successes=1), "recovering"),
    ("recovering", contacts(0.1, successes=2), "recovering"),
    ("recovering", contacts(0.1, successes=3), "online"),
    ("recovering", contacts(4.0), "degraded"),
    ("degraded", contacts(0.1, successes=1), "online"),
    ("degraded", contacts(0.1, failures=1, successes=0), "degraded"),
    ("maintenance", contacts(None), "maintenance"),
])  # fmt: skip
def test_the_table(current: str, facts: Contacts, expected: str) -> None:
    assert next_mode(current, facts, NOW) == expected


AGES = st.one_of(st.none(), st.floats(0, 1e6))


@given(st.sampled_from(MODES), AGES, st.integers(0, 50), st.integers(0, 50))
def test_without_contact_for_ten_seconds_nothing_but_a_person_keeps_a_robot_from_offline(
    current: str, age_s: float | None, failures: int, successes: int
) -> None:
    mode = next_mode(current, contacts(age_s, failures, successes), NOW)
    if current == "maintenance":
        assert mode == "maintenance"
    elif age_s is None or age_s >= OFFLINE_AFTER_S:
        assert mode == "offline"
    else:
        assert mode in ("online", "degraded", "recovering")


@given(st.sampled_from(MODES), AGES, st.integers(0, 50), st.integers(0, 50))
def test_a_verdict_is_stable_while_the_facts_stay(
    current: str, age_s: float | None, failures: int, successes: int
) -> None:
    facts = contacts(age_s, failures, successes)
    once = next_mode(current, facts, NOW)
    assert next_mode(once, facts, NOW) == once


def test_stop_is_allowed_in_every_mode_and_motion_only_online() -> None:
    assert all("stop" in kinds for kinds in ALLOWED.values())
    assert [mode for mode in MODES if "motion" in ALLOWED[mode]] == ["online"]
