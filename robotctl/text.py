"""Words from outside, fit for a database, a log and a JSON frame."""

import re
from typing import Any

UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
DEEPEST = 8
LONGEST = 4_000


def clean(words: str) -> str:
    """Without control characters and lone surrogates, which PostgreSQL refuses and UTF-8 cannot carry."""
    return UNFIT.sub("�", words[:LONGEST])


def clean_all(data: Any, depth: int = 0) -> Any:
    """A copy of JSON-like data with every word cleaned; what is nested deeper than anybody reads is left out."""
    if isinstance(data, str):
        return clean(data)
    if not isinstance(data, dict | list | tuple):
        return data
    if depth >= DEEPEST:
        return "…"
    if isinstance(data, dict):
        return {clean(str(key)): clean_all(value, depth + 1) for key, value in data.items()}
    return [clean_all(value, depth + 1) for value in data]
