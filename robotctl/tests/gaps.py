"""A pytest plugin: whatever is written in bulk onto an audited model is journalled in the same transaction, or the test fails.

`bulk_create`, `bulk_update` and `.update()` send no signals, so auditlog sees nothing of them. Here they are watched in every
test, whoever calls them from our code.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BULK = ("bulk_create", "bulk_update", "update")


class Gap(AssertionError):
    """An audited model was changed in bulk, and the journal has no row of it."""


@pytest.fixture(scope="session", autouse=True)
def no_gaps(django_db_setup: None) -> Iterator[None]:
    from django.db.models import QuerySet

    kept = {name: getattr(QuerySet, name) for name in BULK}
    for name, original in kept.items():
        setattr(QuerySet, name, _watched(name, original))
    yield
    for name, original in kept.items():
        setattr(QuerySet, name, original)


def _watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    from auditlog.registry import auditlog
    from django.db import transaction

    @functools.wraps(original)
    def watched(queryset: Any, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        while caller.f_back is not None and caller.f_code.co_filename.endswith("django/db/models/manager.py"):
            caller = caller.f_back
        if not auditlog.contains(queryset.model) or not _is_ours(caller.f_code.co_filename):
            return original(queryset, *args, **kwargs)
        if kwargs and kwargs.keys() <= set(auditlog.get_model_fields(queryset.model)["exclude_fields"]):
            return original(queryset, *args, **kwargs)  # derived, or void the moment it is used
        where = f"{Path(caller.f_code.co_filename).relative_to(ROOT)}:{caller.f_lineno}"
        rows, told = _rows(), _has_told()
        done = original(queryset, *args, **kwargs)

        def check() -> None:
            if done and not told and _rows() == rows:  # nothing changed, nothing to tell
                raise Gap(f"{where}: {queryset.model.__name__}.objects.{name}() without a row in the journal")

        transaction.on_commit(check)
        return done

    return watched


def _is_ours(file: str) -> bool:
    path = Path(file)
    if not path.is_relative_to(ROOT) or ".venv" in path.parts or "migrations" in path.parts:
        return False
    return "tests" not in path.parts or path.stem == "test_gaps"


def _has_told() -> bool:
    """Whether the transaction that is open has a row in the journal already: then the bell waits to be rung.

    Any row counts, also one that tells of something else: what is written in bulk after it, in the same transaction, passes here
    without a row of its own. Which row belongs to which change cannot be known from outside.
    """
    from django.db import connection

    waiting = [getattr(entry[1], "args", ()) for entry in connection.run_on_commit]
    return any(args[:2] == ("journal", "bell") for args in waiting)


def _rows() -> int:
    from accounts.models import JournalEntry

    return int(JournalEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0)
