"""The search of the journal finds what a look at every row finds, whatever index it walks along."""

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts import journal, journal_search, journal_text, journal_words
from accounts.journal_filters import search, verbs
from accounts.models import JournalEntry, User

pytestmark = pytest.mark.django_db
URL = "/api/v1/journal/"
BEGAN = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)  # after the migrations' own rows
ROWS = 1_500
VERBS = [
    "command.accepted",
    "command.failed",
    "robot.restarted",
    "robot.online",
    "auth.signed_in",
    "stop.left",
    "commander.x",
]
REASONS = ["", "shorter rail", "Pallet-jam at gate_7", "été à Zürich", '100% "quoted" it\'s', "a:b/c\\d"]


@pytest.fixture
def crew() -> list[User]:
    return [User.objects.create(username=name, password="!") for name in ("mia", "noa", "system2")]


@pytest.fixture
def rows(crew: list[User]) -> list[JournalEntry]:
    """Some at the same time, some late, every tenth reason rare."""
    draw = random.Random(3)
    numbers = [None, *(one.pk for one in crew)]
    made = []
    for number in range(ROWS):
        late = draw.random() < 0.02
        at = BEGAN + timedelta(minutes=number // 3 * 4) - timedelta(hours=5 if late else 0)
        made.append(
            JournalEntry(
                at=at,
                late=late,
                actor_id=draw.choice(numbers),
                person_id=draw.choice([None, None, *numbers]),
                request_id=draw.choice(["", f"r{number // 5}"]),
                verb=draw.choice(VERBS),
                target=draw.choice(["", "move", "Gate 7"]),
                robot=draw.choice(["", "oht-01", "oht-02", "agv-9"]),
                outcome=draw.choice(["ok"] * 20 + ["denied", "failed", "unknown"]),
                reason=draw.choice(REASONS) if draw.random() < 0.3 else "",
                data={
                    "command": number // 4,
                    "note": draw.choice(["plain", "line\nbreak", "naïve"]),
                    "deep": [{"on": True}],
                },
            )
        )
    JournalEntry.objects.bulk_create(made)
    return list(JournalEntry.objects.all())


def filters(crew: list[User]) -> dict[str, list[tuple[Any, Callable[[JournalEntry], bool]]]]:
    """{parameter: [(value, whether a row is one of those)]}"""
    mia, early, mid = crew[0].pk, BEGAN + timedelta(hours=9), BEGAN + timedelta(hours=21)
    own = journal.ROBOTS_OWN

    def words(text: str) -> Callable[[JournalEntry], bool]:
        wanted = journal_words.of_text(text)

        def holds(row: JournalEntry) -> bool:  # in its own way, and not by what the search itself looks with
            text = " ".join([row.verb, row.target, row.robot, row.reason, json.dumps(row.data, ensure_ascii=False)])
            found = re.findall(r"[^\W_]+", text.replace("\\n", " ").lower())
            return set(wanted[:-1]) <= set(found) and any(word.startswith(wanted[-1]) for word in found)

        return holds

    return {
        "since": [(early, lambda row: row.at >= early)],
        "until": [(mid, lambda row: row.at < mid), (BEGAN, lambda row: row.at < BEGAN)],
        "actor": [
            ("mia", lambda row: row.actor_id == mia),
            ("system", lambda row: row.actor_id is None and row.verb not in own),
            ("robot", lambda row: row.actor_id is None and row.verb in own),
            ("nobody", lambda row: False),
        ],
        "person": [("mia", lambda row: mia in (row.actor_id, row.person_id))],
        "robot": [("oht-01", lambda row: row.robot == "oht-01")],
        "verb": [
            (["robot.online"], lambda row: row.verb == "robot.online"),
            (["command.*"], lambda row: row.verb.startswith("command.")),
            (["command.*", "robot.online"], lambda row: row.verb.startswith(("command.", "robot.online"))),
            (["nothing.*"], lambda row: False),
        ],
        "outcome": [(["failed", "denied"], lambda row: row.outcome in ("failed", "denied"))],
        "request_id": [("r17", lambda row: row.request_id == "r17")],
        "late": [(True, lambda row: row.late), (False, lambda row: not row.late)],
        "q": [
            (text, words(text))
            for text in ("rail", "command fa", "gate", "zür", "break", "naï", "TRUE mov", "7", "oht-0")
        ],
    }


def found(asked: dict[str, Any], size: int = 97) -> list[int]:
    """All pages, one after the other."""
    wanted, cursor, numbers = search(asked), None, []
    while True:
        page = journal_search.find(wanted, cursor, size)
        numbers += [row.pk for row in page.rows]
        cursor = page.older
        if cursor is None:
            return numbers


def pairs(crew: list[User]) -> Iterator[list[tuple[str, Any, Callable[[JournalEntry], bool]]]]:
    table = filters(crew)
    for count in (1, 2):
        for names in itertools.combinations(table, count):
            for values in itertools.product(*(table[name] for name in names)):
                yield [(name, *value) for name, value in zip(names, values, strict=True)]


def test_each_filter_and_each_pair_finds_what_a_look_at_every_row_finds(
    rows: list[JournalEntry], crew: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_text, "NEAR", 100)  # so that the index of words is asked, too
    monkeypatch.setattr(journal_text, "AT_ONCE", 50)
    monkeypatch.setattr(journal_text, "WALKED", 30)
    for chosen in pairs(crew):
        asked = {name: value for name, value, _ in chosen}
        by_id = "q" in asked
        expected = [row for row in rows if all(holds(row) for _, _, holds in chosen)]
        expected.sort(key=lambda row: row.pk if by_id else (row.at, row.pk), reverse=True)
        assert found(asked) == [row.pk for row in expected], asked


def test_pages_go_back_as_they_came(rows: list[JournalEntry], crew: list[User]) -> None:
    for asked in ({}, {"person": "mia"}, {"actor": "system"}, {"verb": ["command.*"]}, {"q": "rail"}):
        wanted, cursor, there, back = search(asked), None, [], []
        while True:
            page = journal_search.find(wanted, cursor, 40)
            there.append([row.pk for row in page.rows])
            if page.older is None:
                break
            cursor = page.older
        while page.newer is not None:
            page = journal_search.find(wanted, page.newer, 40)
            back.append([row.pk for row in page.rows])
        assert back == there[-2::-1], asked


def test_rows_that_are_written_meanwhile_move_no_page(rows: list[JournalEntry]) -> None:
    seen: list[int] = []
    cursor = None
    while True:
        page = journal_search.find(search({}), cursor, 200)
        seen += [row.pk for row in page.rows]
        newer = BEGAN + timedelta(days=9)
        JournalEntry.objects.bulk_create([JournalEntry(at=newer, verb="robot.online") for _ in range(7)])
        cursor = page.older
        if cursor is None:
            break
    assert sorted(seen) == sorted(row.pk for row in rows)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "text",
    ['"', "'", "'; DROP TABLE x; --", "NEAR(a b)", "a AND", "* OR *", "words:x", "a & | ! b:*", "(", "\\", "%", "^a", "é" * 200,
     "\u2028", "😀", "-", "a" * 500, " ", "x" * 3 + " -y", "<->", "AND", "not"],
)  # fmt: skip
def test_nothing_that_is_typed_is_syntax(api: Any, rows: list[JournalEntry], text: str) -> None:
    answer = api("otto").get(URL, {"q": text})
    assert answer.status_code == 200, answer.content


def test_words_after_line_ends_and_in_any_case_are_found(rows: list[JournalEntry]) -> None:
    journal.record("lease.taken", reason="First\nSECOND", data={"note": "Über\tall"})
    for text in ("second", "SECOND", "über", "all", "lease taken first"):
        assert found({"q": text}), text


def test_words_are_found_on_both_sides_of_each_edge_of_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_text, "NEAR", 0)
    bucket = 1 << journal_words.BUCKET_BITS
    ids = sorted(edge * bucket + step for edge in (1, 2, 3, 9, 200) for step in (-1, 0, 1))
    texts = ["gantried here", "gantries 12", "1 gantried", "gantry"]
    JournalEntry.objects.bulk_create(
        JournalEntry(pk=pk, at=BEGAN + timedelta(minutes=pk), verb="x.y", reason=texts[number % 4])
        for number, pk in enumerate(ids)
    )
    asked = {"gantr": {0, 1, 2, 3}, "gantried": {0, 2}, "1 g": {2}, "gantries 1": {1}, "antry": set()}
    since, until = BEGAN + timedelta(minutes=2 * bucket), BEGAN + timedelta(minutes=9 * bucket)
    for most in (journal_words.MOST_TERMS, 2):  # SQLite asks for the words that a beginning stands for, or for itself
        monkeypatch.setattr(journal_words, "MOST_TERMS", most)
        for text, holds in asked.items():
            expected = [pk for number, pk in enumerate(ids) if number % 4 in holds][::-1]
            assert found({"q": text}, 2) == expected, text
            inside = [pk for pk in expected if 2 * bucket <= pk < 9 * bucket]
            assert found({"q": text, "since": since, "until": until}, 2) == inside, text


def test_words_of_any_length_are_taken_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_text, "NEAR", 0)
    for letter in ("w", "ж", "𐐨"):
        long = journal.record("lease.taken", reason=f"{letter * 3_000} after")
        for text in (letter * 20, letter * 500, f"{letter * 20} ", f"after {letter * 9}"):
            assert found({"q": text}) == [long.pk], text[:9]
        assert found({"q": f"{letter * 20} after"}) == []


@pytest.mark.parametrize(
    "query",
    ["page=2", "ordering=at", "colour=red", "cursor=nonsense", "cursor=", "page_size=0", "page_size=1001", "outcome=good",
     "since=yesterday", "verb=,", "late=perhaps", "id=x", "verb=a&verb=b", "cursor=bzoxOjE", "format=csv"],
)  # fmt: skip
def test_what_the_list_does_not_know_is_refused(api: Any, query: str) -> None:
    answer = api("otto").get(f"{URL}?{query}")
    assert answer.status_code in (400, 404), query
    assert answer.json()["status"] == answer.status_code


def test_the_links_lead_on_and_keep_the_filter(api: Any, rows: list[JournalEntry]) -> None:
    first = api("otto").get(f"{URL}?robot=oht-01&page_size=50").json()
    assert first["previous"] is None
    second = api("otto").get(first["next"]).json()
    assert {row["robot"] for row in second["results"]} == {"oht-01"}
    assert api("otto").get(second["previous"]).json()["results"] == first["results"]


def test_one_row_and_a_chain(api: Any, rows: list[JournalEntry]) -> None:
    journal.record_all([journal.entry("command.done", robot="oht-01", data={"command": 4711})])
    own, *_ = journal.record_all([journal.entry("command.accepted", data={"command": 4711})])
    JournalEntry.objects.bulk_create(
        [
            JournalEntry(at=own.at, verb="command.accepted", request_id="chained", data={"command": 4711}),
            JournalEntry(at=own.at, verb="command.done", data={"command": 4711}),
            JournalEntry(at=own.at, verb="alert.opened", data={"command": 4711}),
            JournalEntry(at=own.at, verb="command.done", data={"command": 4712}),
        ]
    )
    assert api("otto").get(f"{URL}{own.pk}/").json()["verb"] == "command.accepted"
    assert api("otto").get(f"{URL}{2**70}/").status_code == 404
    chain = api("otto").get(f"{URL}chain/chained/").json()
    assert [row["verb"] for row in chain["results"]] == ["command.accepted", "command.done"]
    assert api("otto").get(f"{URL}chain/never/").status_code == 404


@pytest.mark.parametrize("path", ["", "1/", "chain/x/"])
def test_the_journal_is_for_who_may_see_it(api: Any, path: str) -> None:
    assert api("charlie").get(URL + path).status_code == 403


def test_verbs_are_listed_without_reading_all_rows(rows: list[JournalEntry]) -> None:
    assert verbs() == sorted(set(JournalEntry.objects.values_list("verb", flat=True)))
