"""What the contract suite saw of each robot, capability by capability: a table in the terminal, and as Markdown.

Rows travel in pytest's `user_properties`, which reach the process that reports also when tests run side by side.
"""

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

SEEN, NOTED, NOT_TOLD, SAID_SO, UNTRIED, FAILED = "seen", "noted", "not told", "said so", "not tried", "FAILED"
MARKS = {SEEN: "✓", NOTED: "·", NOT_TOLD: "·", SAID_SO: "!", UNTRIED: "-", FAILED: "✗"}
COLOURS = {SEEN: "green", SAID_SO: "yellow", UNTRIED: "yellow", FAILED: "red"}
ROW, CASE, WORDS = "contract", "contract-case", "contract-words"  # names of user_properties
SUITE = "firmware/tests/contract"
LONGEST_TITLE = 34


@dataclass(frozen=True)
class Row:
    """One capability of one robot: what was seen of it, and the evidence."""

    kind: str
    title: str
    verdict: str
    evidence: str

    def property(self) -> tuple[str, dict[str, str]]:
        return ROW, asdict(self)


class Report:
    """A plugin: gathers the rows and prints them at the end of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._rows: dict[str, list[Row]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told: dict[str, Any] = dict(report.user_properties)
        case: dict[str, str] | None = told.get(CASE)
        if case is None:
            return
        rows = self._rows.setdefault(case["kind"], [])
        if report.when == "teardown":
            rows += [Row(**value) for name, value in report.user_properties if name == ROW and isinstance(value, dict)]
        if report.failed:
            rows.append(Row(**case, verdict=FAILED, evidence=str(told.get(WORDS, "see above"))))
        elif report.skipped and isinstance(report.longrepr, tuple):
            why = str(report.longrepr[2]).removeprefix("Skipped: ")
            rows.append(Row(**case, verdict=UNTRIED, evidence=why))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._rows:
            return
        whole = self._config.getoption("contract_url") or any(SUITE in str(given) for given in self._config.args)
        for kind, rows in self._rows.items():
            terminalreporter.section(f"contract: {kind}")
            width = shutil.get_terminal_size((120, 40)).columns
            for text, colour in _lines(rows, width) if whole else ():
                terminalreporter.write_line(text, **({colour: True} if colour else {}))
            terminalreporter.write_line(f"  {counts(rows)}", bold=True)
        if file := self._config.getoption("contract_report"):
            Path(file).write_text(markdown(self._rows))
            terminalreporter.write_line(f"\nThe same as Markdown: {file}")


def counts(rows: list[Row]) -> str:
    """How many of each, in words."""
    found = Counter(row.verdict for row in rows)
    words = {
        SEEN: "seen",
        NOTED: "noted",
        NOT_TOLD: "not told by this robot",
        SAID_SO: "not obeyed and said so",
        UNTRIED: "not tried",
        FAILED: "FAILED",
    }
    return ", ".join(f"{found[verdict]} {word}" for verdict, word in words.items() if found[verdict])


def _lines(rows: list[Row], width: int) -> Iterator[tuple[str, str | None]]:
    """(line, colour)"""
    title = min(LONGEST_TITLE, max(len(row.title) for row in rows))
    left = 4 + title + 2 + 9 + 2
    yield f"    {'capability':{title}}  {'seen':9}  evidence", None
    for row in rows:
        titles = textwrap.wrap(row.title, title) or [""]
        words = textwrap.wrap(row.evidence, max(30, width - left - 1)) or [""]
        for index in range(max(len(titles), len(words))):
            mark, verdict = (MARKS[row.verdict], row.verdict) if index == 0 else (" ", "")
            first = titles[index] if index < len(titles) else ""
            last = words[index] if index < len(words) else ""
            yield f"  {mark} {first:{title}}  {verdict:9}  {last}".rstrip(), COLOURS.get(row.verdict)


def markdown(found: dict[str, list[Row]]) -> str:
    """All tables as one document."""
    lines = ["# Contract report", ""]
    for kind, rows in found.items():
        lines += [f"## {kind}", "", counts(rows) + ".", "", "| | Capability | Seen | Evidence |", "|---|---|---|---|"]
        lines += [
            f"| {MARKS[row.verdict]} | {_cell(row.title)} | {row.verdict} | {_cell(row.evidence)} |" for row in rows
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
