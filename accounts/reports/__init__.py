"""Reports: what the journal and the tables of rights say of a period. Each is a plain function in `REPORTS`.

Floors above put their own reports there, and what rights are reviewed on into `reviewed`, when they are ready.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import models
from django.utils import timezone

from accounts.journal import iso
from accounts.models import User

Parts = dict[str, list[dict[str, Any]]]  # "figures", "tables", "charts": see shapes.py


class Asked(NamedTuple):
    """What a report is about: from `begins` (included) to `until` (not included); one robot, one person, or all."""

    begins: datetime
    until: datetime
    robot: str = ""
    person: User | None = None


class Report(NamedTuple):
    title: str
    words: str
    make: Callable[[Asked], Parts]


REPORTS: dict[str, Report] = {}
reviewed: list[Callable[[], Iterable[models.Model]]] = []  # objects with a slug on which rights are granted


def made(name: str, asked: Asked, by: User) -> dict[str, Any]:
    """`{"report","title","words","period":{"from","until"},"robot","person","made_at","made_by","figures","tables","charts"}`

    Raises KeyError for a name that there is not.
    """
    report = REPORTS[name]
    head = {
        "report": name,
        "title": report.title,
        "words": report.words,
        "period": {"from": iso(asked.begins), "until": iso(asked.until)},
        "robot": asked.robot or None,
        "person": asked.person.username if asked.person else None,
        "made_at": iso(timezone.now()),
        "made_by": by.username,
    }
    return head | report.make(asked)
