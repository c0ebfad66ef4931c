"""Cells of a table for a spreadsheet, which would work out a text that begins like a formula."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> str | int | float:
    """Numbers stay numbers, lists and objects become JSON, and a text that begins like a formula gets an apostrophe before it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = (
        json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else "" if value is None else str(value)
    )
    return f"'{text}" if text.startswith(FORMULA) else text


def uncell(text: str) -> str:
    """What `cell` was given, as text."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


class _Line:
    def write(self, text: str) -> str:
        return text


def lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Each row as a line of CSV."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([cell(value) for value in row])  # what write() returned
