"""The shape of every report, so that one page and one table writer show all of them."""

from collections.abc import Iterable, Sequence
from typing import Any

TIME = "UTC"  # the unit of columns that hold moments
LONGEST = 1_000  # rows of a table; what there is beyond is told, and seen by narrowing the period


def figure(name: str, value: Any, words: str, unit: str = "", *, if_any: str = "") -> dict[str, Any]:
    """`if_any`: the level (warning, critical) that it has when it is not 0."""
    return {"name": name, "value": value, "unit": unit, "words": words, "level": if_any if value else ""}


def column(name: str, title: str = "", unit: str = "") -> dict[str, str]:
    return {"name": name, "title": title or name.replace("_", " ").capitalize(), "unit": unit}


def table(
    name: str,
    title: str,
    columns: Sequence[dict[str, str]],
    rows: Iterable[Sequence[Any]],
    *,
    links: Sequence[str] = (),
    total: int | None = None,
    words: str = "",
) -> dict[str, Any]:
    """`links`: for each row the address of what it stands on in the journal. `total`: how many there are, when not all are shown."""
    cells = [list(row) for row in rows]
    return {
        "name": name,
        "title": title,
        "words": words,
        "columns": list(columns),
        "rows": cells,
        "links": list(links),
        "total": len(cells) if total is None else total,
    }


def chart(name: str, title: str, unit: str, kind: str, series: dict[str, list[tuple[str, float]]]) -> dict[str, Any]:
    """`kind`: bars or line. `series`: name → [(label, value)]."""
    drawn = [{"name": one, "points": [list(point) for point in points]} for one, points in series.items()]
    return {"name": name, "title": title, "unit": unit, "kind": kind, "series": drawn}
