"""What tests of the seals begin with."""

import pytest

from accounts import journal, journal_checks, seals, verify_views


@pytest.fixture
def begun(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What setting up has recorded is seal 1; a slow machine checks as much as a fast one."""
    monkeypatch.setattr(journal_checks, "BUDGET_S", 60.0)
    monkeypatch.setattr(verify_views, "BUDGET_S", 60.0)
    journal.record("test.begun")
    seals.seal()
