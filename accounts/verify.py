"""Checks an export or an archive of the journal, anywhere: `python -m accounts.verify FILE`. Needs `cryptography`, nothing else.

Exit code 0: intact. 1: not, and the rows are named. 2: the file cannot be read as an export.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from accounts import seal_format as form
from accounts.examine import Examination, Finding, Report

INTACT, BROKEN, UNREADABLE = 0, 1, 2
LONGEST_LINE = 16 * 1024 * 1024


class NotAnExport(Exception):
    """The file is not what it should be, in words."""


@dataclass
class Verdict:
    """A report, and what the head of the file says."""

    report: Report
    head: dict[str, Any]
    own_keys: bool  # the keys that were believed are those that the file itself brings


def verify(path: Path, keys: Iterable[str] = ()) -> Verdict:
    """Read a file (`.jsonl`, or packed with gzip) and examine it. Raises NotAnExport, OSError."""
    try:
        with _open(path) as file:
            return _verify(file, list(keys))
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise NotAnExport(f"it is damaged or cut off ({error})") from error


def _open(path: Path) -> IO[str]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if packed else open
    opened: IO[str] = opener(path, "rt", encoding="utf-8", newline="\n")
    return opened


def _verify(file: IO[str], keys: list[str]) -> Verdict:
    head = _body(file.readline(LONGEST_LINE)) or {}
    if head.get("journal") != "robotctl" or head.get("version") != form.VERSION:
        raise NotAnExport("its first line is not that of an export of the journal")
    examination = Examination(keys or head.get("public_keys") or [], complete=head.get("complete") is True)
    report, number = examination.report, 1
    end: dict[str, Any] | None = None
    while text := file.readline(LONGEST_LINE):
        number += 1
        body = _body(text)
        if body is None or end is not None or not _taken(examination, body):
            report.add(Finding("line_unreadable", f"Line {number} is neither a row nor a seal as they were written."))
        else:
            end = body.get("end")
    report = examination.finish()
    report.add(*_counts(report, end))
    return Verdict(report, head, own_keys=not keys)


def _taken(examination: Examination, body: dict[str, Any]) -> bool:
    """Whether this line was what it should be. A row that cannot be read is missing when its seal comes, and is named then."""
    try:
        if "row" in body and set(body) <= {"row", "shown"} and set(body["row"]) == set(form.FIELDS):
            examination.row(body["row"])
        elif set(body) == {"seal"} and set(body["seal"]) == set(form.SEAL_FIELDS):
            examination.seal(body["seal"])
        else:
            return isinstance(body.get("end"), dict)
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return True


def _body(text: str) -> dict[str, Any] | None:
    try:
        body = json.loads(text, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands there twice is read in one way by us and in another by others."""
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a name stands there twice")
    return body


def _counts(report: Report, end: dict[str, Any] | None) -> list[Finding]:
    if end is None:
        return [Finding("file_cut_off", "The file is cut off: its last line, which counts the rows, is missing.")]
    found = {"rows": report.rows, "seals": report.seals, "unsealed": report.unsealed}
    wrong = [f"{end.get(name)} {name}, not {count}" for name, count in found.items() if end.get(name) != count]
    return [Finding("file_counts", f"The file's end speaks of {', '.join(wrong)}.")] if wrong else []


def tell(verdict: Verdict) -> Iterator[str]:
    """The verdict in lines for a person."""
    report, last = verdict.report, verdict.report.last
    yield f"{report.rows} rows, {report.seals} seals, {report.unsealed} rows not sealed yet (nothing vouches for those)."
    if last is not None and report.seals:
        yield f"Head: seal {last['number']}, digest {last['digest']}. Compare it with the log of the system that sealed it."
    if report.first_seal not in (None, 1):
        yield f"It begins with seal {report.first_seal}; what was before is not in this file."
    if verdict.head.get("complete") is not True:
        yield f"Filtered by {json.dumps(verdict.head.get('filter'))}: rows that are not in it are not judged."
    if verdict.own_keys:
        yield "The keys that were believed come from the file itself; give the right one with --key."
    yield from (finding.words for finding in report.findings)
    if report.more:
        yield f"… and {report.more} more findings."
    yield "Intact." if report.intact else "NOT INTACT."


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m accounts.verify", description="Checks an export of the journal.")
    parser.add_argument("file", type=Path, help="an export or an archive, .jsonl or .jsonl.gz")
    parser.add_argument("--key", action="append", default=[], metavar="BASE64", help="a public key that is trusted")
    given = parser.parse_args(arguments)
    try:
        verdict = verify(given.file, given.key)
    except (NotAnExport, OSError) as error:
        print(f"{given.file}: {error}", file=sys.stderr)  # noqa: T201
        return UNREADABLE
    for words in tell(verdict):
        print(words)  # noqa: T201
    return INTACT if verdict.report.intact else BROKEN


if __name__ == "__main__":
    sys.exit(main())
