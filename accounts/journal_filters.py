"""What is looked for in the journal: filters as the parts of its indexes that they name."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Case, Q, Value, When

from accounts import journal_words
from accounts.journal import ROBOTS_OWN
from accounts.models import User

NOBODY = -1  # no row has this number
# Each verb once, by jumping along the index of verbs.
VERBS = """WITH RECURSIVE found(verb) AS (SELECT min(verb) FROM accounts_journalentry UNION ALL
    SELECT (SELECT min(verb) FROM accounts_journalentry WHERE verb > found.verb) FROM found WHERE found.verb IS NOT NULL)
    SELECT verb FROM found WHERE verb IS NOT NULL"""


@dataclass(frozen=True)
class Branch:
    """Rows that lie together in one index. `lead`: that index's first column, where a database must be told to sort by it."""

    which: Q
    lead: str = ""


@dataclass(frozen=True)
class Search:
    """What is looked for. A row is found when it is in one of the branches and `besides` holds, in the time, with all words."""

    branches: tuple[Branch, ...] = (Branch(Q()),)
    besides: Q = field(default_factory=Q)
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        return self == Search()

    @property
    def in_time(self) -> Q:
        since = Q() if self.since is None else Q(at__gte=self.since)
        return since if self.until is None else since & Q(at__lt=self.until)

    @property
    def condition(self) -> Q:
        """All of it but the words."""
        any_branch = Q()
        for branch in self.branches:
            any_branch |= branch.which
        return any_branch & self.besides & self.in_time


def search(asked: dict[str, Any]) -> Search:
    """From `{since, until, actor, person, target, robot, verb: […], outcome: […], request_id, late, id, q}`, each of them optional."""
    choices = _choices(asked)
    first, rest = (choices[0], choices[1:]) if choices else ((Branch(Q()),), [])
    besides = Q()
    for branches in rest:
        besides &= Search(tuple(branches)).condition
    words = tuple(journal_words.of_text(asked.get("q", "")))
    if asked.get("q", "").strip() and not words:
        first = (Branch(Q(pk=NOBODY)),)  # signs alone are no words
    return Search(tuple(first), besides, asked.get("since"), asked.get("until"), words)


def opaque(condition: Q) -> Case | Q:
    """A condition that no index is chosen for: which one is walked along is decided here, not guessed by the database."""
    if not condition:
        return Q()
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())


def verbs() -> list[str]:
    """Every verb that the journal holds."""
    with connection.cursor() as cursor:
        cursor.execute(VERBS)
        return [verb for (verb,) in cursor.fetchall()]


def _choices(asked: dict[str, Any]) -> list[tuple[Branch, ...]]:
    """The branches of each filter; the one that leaves the fewest rows, as a rule, first."""
    actor = asked.get("actor")
    choices: list[tuple[Branch, ...]] = [
        (Branch(Q(**{name: asked[name]})),) for name in ("id", "request_id") if name in asked
    ]
    if "person" in asked:
        number = _number(asked["person"])
        choices.append((Branch(Q(actor_id=number)), Branch(Q(person_id=number))))
    if actor is not None and actor not in ("system", "robot"):
        choices.append((Branch(Q(actor_id=_number(actor))),))
    if "robot" in asked and "verb" not in asked:
        choices.append((Branch(Q(robot=asked["robot"])),))
    if "target" in asked:
        choices.append((Branch(Q(target=asked["target"])), Branch(Q(target="", person_id=_number(asked["target"])))))
    if "verb" in asked:
        robot = Q(robot=asked["robot"]) if "robot" in asked else Q()
        choices.append(tuple(Branch(robot & Q(verb=verb)) for verb in _verbs(asked["verb"])) or (Branch(Q(pk=NOBODY)),))
    if actor == "robot":
        choices.append(tuple(Branch(Q(verb=verb, actor_id=None)) for verb in sorted(ROBOTS_OWN)))
    if actor == "system":
        choices.append((Branch(Q(actor_id=None) & ~Q(verb__in=sorted(ROBOTS_OWN)), lead="actor_id"),))
    if "outcome" in asked:
        choices.append(tuple(Branch(Q(outcome=outcome)) for outcome in sorted(set(asked["outcome"]))))
    if "late" in asked:
        choices.append((Branch(Q(late=asked["late"])),))
    return choices


def _number(name: str) -> int:
    """A person's number. Somebody whom nobody knows has done nothing."""
    person = User.objects.filter(username=name).values_list("pk", flat=True).first()
    return NOBODY if person is None else person


def _verbs(wanted: list[str]) -> list[str]:
    """Verbs, and families as `command.*`, as the verbs that there are."""
    families = tuple(one[:-1] for one in wanted if one.endswith(".*"))
    exact = {one for one in wanted if not one.endswith(".*")}
    return sorted(exact.union(verb for verb in verbs() if verb.startswith(families)) if families else exact)
