"""Whether rows are what their seals say. Pure: rows and seals in, findings out, with the memory of one seal."""

import base64
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from accounts import seal_format as form

MOST = 1_000  # findings that are kept; the rest is counted
Item = tuple[Literal["row", "seal"], dict[str, Any]]
BEFORE_ALL: form.Seal = {"number": 0, "digest": form.NOTHING, "last_id": -(2**63)}


@dataclass
class Finding:
    """`kind`: row_altered, row_missing, row_inserted, row_reordered, rows_altered, seal_missing, seal_altered, seal_untrusted,
    chain_broken, … `id`: the row, if it is about one."""

    kind: str
    words: str
    seal: int | None = None
    id: int | None = None
    found: bytes = field(default=b"", repr=False)  # hash of what the row says now
    expected: bytes = field(default=b"", repr=False)  # hash of what it said when it was sealed

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name not in ("found", "expected")}


@dataclass
class Report:
    """What was looked at, and what is wrong with it. `more`: findings beyond those that are kept."""

    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    rows: int = 0
    seals: int = 0
    unsealed: int = 0
    first_seal: int | None = None
    last: dict[str, Any] | None = None  # the last seal

    @property
    def intact(self) -> bool:
        return not self.findings

    def add(self, *findings: Finding) -> None:
        room = max(MOST - len(self.findings), 0)
        self.findings += findings[:room]
        self.more += len(findings) - len(findings[:room])


class Examination:
    """Takes rows in their order and, after those that it closes, each seal.

    `after`: the seal before the first one that is examined. `complete`: all rows of each seal are there; otherwise those that
    are missing are no findings, and seals may be left out. `archived`: asked when rows are missing, whether they may be.
    """

    def __init__(
        self,
        trusted: Iterable[str],
        *,
        complete: bool = True,
        after: form.Seal | None = None,
        archived: Callable[[form.Seal], bool] = lambda seal: False,
    ) -> None:
        self.trusted, self.complete, self.archived = set(trusted), complete, archived
        self.report = Report(last=after)
        self._begin()

    def _begin(self) -> None:
        self._closing, self._ids, self._hashes = form.Closing(), array("q"), bytearray()

    def row(self, row: form.Row) -> None:
        self._closing.add(row)
        self._ids.append(row["id"])
        self._hashes += self._closing.witness[-8:]
        self._closing.witness.clear()
        self.report.rows += 1

    def seal(self, seal: form.Seal) -> None:
        """A seal whose rows were just given."""
        signed, gap = self._signature(seal), self._link(seal)
        if gap or not self.complete or self._closing.digest(seal["previous"]) != seal["digest"]:
            self._compare(seal, gap=gap, signed=signed)
        self.report.seals += 1
        if self.report.first_seal is None:
            self.report.first_seal = seal["number"]
        self.report.last = seal
        self._begin()

    def finish(self) -> Report:
        """What is left over is not sealed yet."""
        self.report.unsealed = len(self._ids)
        last = self.report.last
        if last and self.complete:
            late = ((one, found) for one, found in self._rows() if one <= last["last_id"])
            self.report.add(*(_inserted(one, None, found) for one, found in late))
        _name_moves(self.report.findings)
        return self.report

    def _rows(self) -> Iterator[tuple[int, bytes]]:
        for place, one in enumerate(self._ids):
            yield one, bytes(self._hashes[8 * place : 8 * place + 8])

    def _signature(self, seal: form.Seal) -> bool:
        number, signed = seal["number"], form.is_signed(seal)
        if not signed:
            words = f"Seal {number} was altered: its signature does not hold."
            self.report.add(Finding("seal_altered", words, number))
        elif seal["key"] not in self.trusted:
            words = f"Seal {number} is signed with a key that is not trusted."
            self.report.add(Finding("seal_untrusted", words, number))
        return signed

    def _link(self, seal: form.Seal) -> bool:
        """Judge the seal's place in the chain; whether seals are missing before it."""
        number, last, add = seal["number"], self.report.last, self.report.add
        if last is None:
            if number == 1 and seal["previous"] != form.NOTHING:
                add(Finding("chain_broken", "Seal 1 says that there was one before.", number))
            return False
        if number > last["number"] + 1 and self.complete:
            self._missing(last["number"] + 1, number - 1, seal)
        elif number <= last["number"]:
            add(Finding("seal_reordered", f"Seal {number} stands after seal {last['number']}.", number))
        elif number == last["number"] + 1 and seal["previous"] != last["digest"]:
            add(Finding("chain_broken", f"Seal {number} does not follow from seal {last['number']}.", number))
        return bool(number != last["number"] + 1)

    def _missing(self, first: int, last: int, seal: form.Seal) -> None:
        alone = [one for one in self._ids if one < seal["first_id"]]
        rows = f" Nothing vouches for the {len(alone)} rows {min(alone)} to {max(alone)}." if alone else ""
        which = f"Seal {first} is" if first == last else f"Seals {first} to {last} are"
        self.report.add(Finding("seal_missing", f"{which} missing.{rows}", first))

    def _compare(self, seal: form.Seal, *, gap: bool, signed: bool) -> None:
        """Name the rows that are not what the witness has."""
        number, expected = seal["number"], form.read_witness(_decoded(seal["witness"]))
        seen: dict[int, bytes] = {}
        found: list[Finding] = []
        for one, said in self._rows():
            if gap and self.complete and one < seal["first_id"]:
                continue  # of a seal that is missing
            if one not in expected or one in seen:
                found.append(_inserted(one, number, said))
            elif expected[one] != said:
                words = f"Row {one} was altered after it was sealed."
                found.append(Finding("row_altered", words, number, one, said, expected[one]))
            seen.setdefault(one, said)
        if self.complete and any(one not in seen for one in expected) and not self.archived(seal):
            gone = ((one, said) for one, said in expected.items() if one not in seen)
            found += [Finding("row_missing", f"Row {one} is missing.", number, one, b"", said) for one, said in gone]
        found += _out_of_order([one for one in seen if one in expected], number)
        if not found and len(seen) == len(expected) and self.complete and signed and not gap:
            words = f"The rows {seal['first_id']} to {seal['last_id']} are not what seal {number} closed."
            found.append(Finding("rows_altered", words, number))
        self.report.add(*sorted(found, key=lambda one: one.id or 0))


def examine(items: Iterable[Item], trusted: Iterable[str], *, complete: bool = True) -> Report:
    """Everything in one go: `("row", …)`, and after the rows that it closes `("seal", …)`, in their order."""
    examination = Examination(trusted, complete=complete)
    for kind, what in items:
        getattr(examination, kind)(what)
    return examination.finish()


def _decoded(witness: str) -> bytes:
    try:
        return base64.b64decode(witness)
    except ValueError:  # its signature does not hold then, which is told already
        return b""


def _inserted(one: int, seal: int | None, said: bytes) -> Finding:
    return Finding("row_inserted", f"Row {one} was inserted: no seal knows it.", seal, one, said)


def _out_of_order(ids: list[int], seal: int) -> list[Finding]:
    places = [one for one, right in zip(ids, sorted(ids), strict=True) if one != right]
    return [Finding("row_reordered", f"Row {one} does not stand in its place.", seal, one) for one in places]


def _name_moves(findings: list[Finding]) -> None:
    """Rows that are at each other's place, or have another's number, are told as that."""
    homes: dict[bytes, int] = {}
    for one in findings:
        if one.expected and one.id is not None:
            homes.setdefault(one.expected, one.id)
    moved = {one.found: one.id for one in findings if one.found in homes}
    for one in findings:
        if one.found in homes:
            one.kind, one.words = "row_reordered", _moved(homes[one.found], one.id)
        elif one.kind == "row_missing" and one.expected in moved:
            one.kind, one.words = "row_reordered", _moved(one.id, moved[one.expected])


def _moved(row: int | None, to: int | None) -> str:
    return f"Row {row} does not stand in its place." if row == to else f"Row {row} stands at the place of row {to}."
