"""What the journal gives as a file: the table itself, in order, with its seals, and harmless in a spreadsheet."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounts import csv_rows, journal, journal_export, sealed_rows, seals, verify
from accounts import seal_format as form
from accounts.journal_models import JournalEntry, Seal
from accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/journal/export/"


def body(answer: Any) -> str:
    """All of it, as ASGI would send it."""

    async def pieces() -> list[bytes]:
        return [piece async for piece in answer.streaming_content]

    text = b"".join(async_to_sync(pieces)()).decode()
    answer.close()
    return text


def seal(*, last: int, number: int, key: Ed25519PrivateKey, previous: str) -> str:
    """Close the rows up to `last`, as the clock does."""
    before = Seal.objects.order_by("-number").first()
    closing = form.Closing()
    for row in sealed_rows.read(JournalEntry.objects.filter(pk__gt=before.last_id if before else -1, pk__lte=last)):
        closing.add(row)
    sealed_at = sealed_rows.timestamp(JournalEntry.objects.get(pk=last).at)
    made = form.sign(closing.seal(number, sealed_at=sealed_at, previous=previous), key)
    Seal.objects.create(**{**made, "witness": bytes(closing.witness)})
    return str(made["digest"])


@pytest.fixture
def sealed(people: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows in three seals, and some that are in none; the windows of an export are smaller than that."""
    for name, value in {"WINDOW": 7, "AT_ONCE": 3, "WORDS_AT_ONCE": 5, "SEALS_AT_ONCE": 2}.items():
        monkeypatch.setattr(journal_export, name, value)
    journal.record_all(
        [
            journal.entry(
                "robot.online" if number % 3 else "stop.requested",
                robot=f"oht-0{number % 4}",
                actor=people["bob"],
                reason="=1+1" if number % 5 == 0 else "",
                data={"number": number},
            )
            for number in range(40)
        ]
    )
    numbers = list(JournalEntry.objects.order_by("pk").values_list("pk", flat=True))
    key, previous = seals.private_key(), form.NOTHING
    for number, place in enumerate((9, 23, 35), 1):
        previous = seal(last=numbers[place], number=number, key=key, previous=previous)
    return numbers


def test_the_whole_journal_is_the_table_and_verifies(api: Any, sealed: list[int], tmp_path: Path) -> None:
    text = body(api("otto").get(URL))
    lines = [json.loads(line) for line in text.splitlines()]
    rows = [line["row"] for line in lines if "row" in line]
    assert [row["id"] for row in rows] == sealed
    assert rows == list(sealed_rows.read(JournalEntry.objects.filter(pk__in=sealed)))
    assert lines[0]["complete"] is True
    end = lines[-1]["end"]
    assert {name: end[name] for name in ("rows", "seals", "unsealed")} == {
        "rows": len(sealed), "seals": 3, "unsealed": len(sealed) - 36,
    }  # fmt: skip
    assert lines[-2]["shown"]["actor"] == "bob"
    file = tmp_path / "journal.jsonl"
    file.write_text(text)
    assert verify.verify(file).report.intact
    file.write_text(text.replace('"number":17', '"number":71'))
    assert [one.kind for one in verify.verify(file).report.findings] == ["row_altered", "file_altered"]
    file.write_text(text.replace('"actor":"bob"', '"actor":"eve"'))
    assert [one.kind for one in verify.verify(file).report.findings] == ["file_altered"]


@pytest.mark.parametrize("query", ["verb=stop.*", "robot=oht-02", "q=stop+requested", "verb=nothing", "q=nothing"])
def test_a_filtered_export_has_what_the_list_has_and_verifies(
    api: Any, sealed: list[int], tmp_path: Path, query: str
) -> None:
    listed = [row["id"] for row in api("otto").get(f"/api/v1/journal/?{query}").json()["results"]]
    text = body(api("otto").get(f"{URL}?{query}"))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["row"]["id"] for line in lines if "row" in line] == sorted(listed)
    assert lines[0]["complete"] is False
    file = tmp_path / "journal.jsonl"
    file.write_text(text)
    assert verify.verify(file).report.findings == []


def test_an_export_is_in_the_journal_before_its_first_byte_and_with_its_length_after(
    api: Any, sealed: list[int]
) -> None:
    answer = api("otto").get(f"{URL}?robot=oht-02&as=csv")
    begun = JournalEntry.objects.get(verb="journal.exported")
    assert begun.data == {"as": "csv", "filter": {"robot": "oht-02"}, "up_to": sealed[-1]}
    body(answer)
    ended = JournalEntry.objects.get(verb="journal.export_ended")
    assert (ended.data, ended.outcome) == ({"export": begun.pk, "rows": 10}, "ok")
    assert (ended.actor_id, ended.request_id) == (begun.actor_id, begun.request_id)


def test_the_row_of_an_export_names_nobody(api: Any, sealed: list[int]) -> None:
    bob = User.objects.get(username="bob").pk
    body(api("otto").get(f"{URL}?actor=bob&person=nobody-42&q=bob+smith"))
    begun = JournalEntry.objects.get(verb="journal.exported")
    assert begun.data["filter"] == {"actor": {"person": bob}, "person": None, "q": True}
    for target, told in (("bob", {"person": bob}), ("oht-02", "oht-02")):
        body(api("otto").get(f"{URL}?target={target}"))
        assert JournalEntry.objects.filter(verb="journal.exported").latest("pk").data["filter"] == {"target": told}


def test_an_export_that_nobody_took_to_its_end_says_so(api: Any, sealed: list[int]) -> None:
    api("otto").get(URL).close()
    ended = JournalEntry.objects.get(verb="journal.export_ended")
    assert (ended.data["rows"], ended.outcome) == (0, "failed")


def test_a_table_holds_no_formula_and_names_the_seals(api: Any, sealed: list[int]) -> None:
    rows = list(csv.DictReader(io.StringIO(body(api("otto").get(f"{URL}?as=csv")))))
    assert [int(row["id"]) for row in rows] == sealed
    assert {row["reason"] for row in rows} == {"", "'=1+1"}
    assert [row["seal"] for row in rows] == ["1"] * 10 + ["2"] * 14 + ["3"] * 12 + [""] * (len(sealed) - 36)
    assert json.loads(rows[-1]["data"]) == {"number": 39}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx"), (-1, -1), (2.5, 2.5),
     (None, ""), ({"a": 1}, '{"a": 1}'), (True, "True"), ("x=1", "x=1")],
)  # fmt: skip
def test_a_cell_is_no_formula(value: Any, expected: Any) -> None:
    assert csv_rows.cell(value) == expected
    if isinstance(value, str):
        assert csv_rows.uncell(expected) == value


@pytest.mark.parametrize("query", ["as=xml", "colour=red", "page_size=5", "cursor=x", "format=csv"])
def test_what_an_export_does_not_know_is_refused(api: Any, query: str) -> None:
    assert api("otto").get(f"{URL}?{query}").status_code in (400, 404)
    assert not JournalEntry.objects.filter(verb="journal.exported").exists()


@pytest.mark.parametrize("name", [None, "charlie", "bob", "erin"])
def test_who_may_not_export_gets_nothing(api: Any, name: str | None) -> None:
    assert api(name).get(URL).status_code in (401, 403)
