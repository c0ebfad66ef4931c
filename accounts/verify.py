"""Checks an export or an archive of the journal, anywhere: `python -m accounts.verify FILE`. Needs `cryptography`, nothing else.

Exit code 0: intact, and signed. 1: not, and the rows are named. 2: the file, or the line that is named, cannot be read as an export.
"""

import argparse
import gzip
import hashlib
import json
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from accounts import seal_format as form
from accounts.examine import Examination, Finding, Report

INTACT, BROKEN, UNREADABLE = 0, 1, 2
LONGEST_LINE = 16 * 1024 * 1024
HEAD = {"journal": str, "version": int, "exported_at": str, "filter": dict, "complete": bool, "public_keys": list}
UNSIGNED = "The file's end is not signed by this system"


class NotAnExport(Exception):
    """The file is not what it should be, in words."""


@dataclass
class Verdict:
    """A report, and what the head of the file says."""

    report: Report
    head: dict[str, Any]
    own_keys: bool  # the keys that were believed are those that the file itself brings
    signed: bool  # what is read is, to the byte, what one of these keys signed


def verify(path: Path, keys: Iterable[str] = ()) -> Verdict:
    """Read a file (`.jsonl`, or packed with gzip) and examine it. Raises NotAnExport, OSError."""
    try:
        with _open(path) as file:
            return _verify(file, list(keys))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise NotAnExport(f"it is damaged or cut off ({error})") from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if packed else open
    opened: IO[bytes] = opener(path, "rb")
    return opened


def _verify(file: IO[bytes], keys: list[str]) -> Verdict:
    first = file.readline(LONGEST_LINE)
    head = _head(_body(first))
    trusted, whole = keys or head["public_keys"], hashlib.sha256(first)
    examination, number = Examination(trusted, complete=head["complete"]), 1
    end, written = None, b""
    while text := file.readline(LONGEST_LINE):
        number += 1
        body = _body(text)
        if body is None or end is not None or not _taken(examination, body):
            raise NotAnExport(f"line {number} is neither a row nor a seal as they were written")
        end, written = body.get("end"), text
        if end is None:
            whole.update(text)
    report = examination.finish()
    wrong = _end_findings(report, end, written, whole.hexdigest(), trusted)
    report.add(*wrong)
    return Verdict(report, head, own_keys=not keys, signed=not wrong)


def _head(body: dict[str, Any] | None) -> dict[str, Any]:
    fits = body is not None and set(body) == set(HEAD) and all(type(body[name]) is kind for name, kind in HEAD.items())
    if body is None or not fits or (body["journal"], body["version"]) != ("robotctl", form.VERSION):
        raise NotAnExport("line 1 is not that of an export of the journal")
    if not all(isinstance(key, str) for key in body["public_keys"]):
        raise NotAnExport("line 1 names public keys that are none")
    return body


def _taken(examination: Examination, body: dict[str, Any]) -> bool:
    """Whether this line was what it should be."""
    try:
        if "row" in body and set(body) <= {"row", "shown"} and set(body["row"]) == set(form.FIELDS):
            examination.row({**body["row"], "id": _id(body["row"]["id"])})
            return True
        if set(body) == {"seal"} and set(body["seal"]) == set(form.SEAL_FIELDS):
            examination.seal(_seal(body["seal"]))
            return True
        return set(body) == {"end"} and isinstance(body["end"], dict)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return False


def _id(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError("not a number of the database")
    return value


def _seal(seal: dict[str, Any]) -> form.Seal:
    """Of the right kinds, and harmless on a terminal. Whether it holds is another question."""
    for name, value in seal.items():
        if name in ("number", "first_id", "last_id", "count"):
            _id(value)
        elif not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ValueError(f"{name} is no plain text")
    return seal


def _body(text: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(text.decode("utf-8", "surrogatepass"), object_pairs_hook=_no_twins)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands there twice is read in one way by us and in another by others."""
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a name stands there twice")
    return body


def _end_findings(
    report: Report, end: dict[str, Any] | None, written: bytes, sha256: str, trusted: list[str]
) -> list[Finding]:
    """What is wrong with the last line, or with the file by it: only whoever holds a trusted key can write one that fits."""
    if end is None:
        return [Finding("file_cut_off", f"{UNSIGNED}: the file is cut off, its last line is missing.")]
    if set(end) != set(form.END_FIELDS) or not form.end_is_signed(end, written):
        return [Finding("end_unsigned", f"{UNSIGNED}.")]
    if end["key"] not in trusted:
        return [Finding("end_untrusted", f"{UNSIGNED}: it is signed with a key that is not trusted.")]
    if end["sha256"] != sha256:
        return [Finding("file_altered", "The file is not the one that was signed: something in it was altered.")]
    found = {"rows": report.rows, "seals": report.seals, "unsealed": report.unsealed}
    wrong = [f"{end[name]} {name}, not {count}" for name, count in found.items() if end[name] != count]
    return [Finding("file_counts", f"The file's end speaks of {', '.join(wrong)}.")] if wrong else []


def tell(verdict: Verdict) -> Iterator[str]:
    """The verdict in lines for a person."""
    report, last = verdict.report, verdict.report.last
    yield f"{report.rows} rows, {report.seals} seals."
    if report.unsealed:
        who = "; the file's signature alone vouches for them." if verdict.signed else ", and nothing vouches for them."
        which = "1 row at the end is" if report.unsealed == 1 else f"{report.unsealed} rows at the end are"
        yield f"{which} not sealed{who}"
    if last is not None and report.seals:
        yield f"Head: seal {last['number']}, digest {last['digest']}. Compare it with the log of the system that sealed it."
    if report.first_seal not in (None, 1):
        yield f"It begins with seal {report.first_seal}; what was before is not in this file."
    if not verdict.head["complete"]:
        yield f"Filtered by {json.dumps(verdict.head['filter'])}: rows that are not in it are not judged."
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
