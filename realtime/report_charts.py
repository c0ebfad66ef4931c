"""Charts as the server draws them: where each bar, point and word goes, in per cent across and pixels down.

No style sheet and no script is needed to read one; each word and each number stands in the drawing itself.
"""

from itertools import pairwise
from typing import Any

BAR_H, ROW_H, WIDEST = 14, 40, 82.0  # px, px, per cent: the rest is for the number at the bar's end
PLOT_TOP, PLOT_H, LINE_H = 22, 120, 172
LEFT, RIGHT = 4.0, 94.0
MOST_LABELS = 8


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


def drawn(chart: dict[str, Any]) -> dict[str, Any]:
    """What the template draws, the chart's own facts beside it; `rows` are the same numbers as a table."""
    series = chart["series"]
    labels = [label for label, _ in series[0]["points"]] if series else []
    values = [[number(value) for _, value in one["points"]] for one in series]
    rows = [[label, *(column[index] for column in values)] for index, label in enumerate(labels)]
    drawing = _bars(series) if chart["kind"] == "bars" else _line(series)
    told = ", ".join(f"{row[0]}: {' and '.join(row[1:])}" for row in rows[:MOST_LABELS])
    return {**chart, **drawing, "rows": rows, "spoken": f"{chart['title']}, in {chart['unit']}. {told}"}


def _greatest(series: list[dict[str, Any]]) -> float:
    return max((value for one in series for _, value in one["points"]), default=0) or 1


def _bars(series: list[dict[str, Any]]) -> dict[str, Any]:
    """One bar under each label, its number at its end."""
    greatest = _greatest(series)
    bars: list[dict[str, Any]] = []
    for label, value in (point for one in series for point in one["points"]):
        top, width = len(bars) * ROW_H, round(WIDEST * value / greatest, 2)
        bars.append(
            {"label": label, "text_y": top + 14, "y": top + 20, "width": width, "end": width, "value": number(value)}
        )
    return {"bars": bars, "bar_h": BAR_H, "height": max(len(bars) * ROW_H, ROW_H)}


def _line(series: list[dict[str, Any]]) -> dict[str, Any]:
    """Segments between points; the second line is dashed and has square points, its numbers stand below."""
    greatest = _greatest(series)
    lines = [_one_line(one, index, greatest) for index, one in enumerate(series)]
    labels = [label for label, _ in series[0]["points"]] if series else []
    every = max(1, -(-len(labels) // MOST_LABELS))
    ticks = [
        {"x": _across(index, len(labels)), "label": label[5:]}
        for index, label in enumerate(labels)
        if index % every == 0
    ]
    return {"lines": lines, "ticks": ticks, "base": PLOT_TOP + PLOT_H, "labels_y": LINE_H - 10, "height": LINE_H}


def _across(index: int, count: int) -> float:
    return round(LEFT + (RIGHT - LEFT) * (index / (count - 1) if count > 1 else 0.5), 2)


def _one_line(one: dict[str, Any], index: int, greatest: float) -> dict[str, Any]:
    points = []
    for at, (_, value) in enumerate(one["points"]):
        y = round(PLOT_TOP + PLOT_H * (1 - value / greatest), 1)
        points.append(
            {"x": _across(at, len(one["points"])), "y": y, "text_y": y + (16 if index else -8), "value": number(value)}
        )
    few = len(points) <= MOST_LABELS
    for point in points:
        point["square_y"], point["told"] = point["y"] - 3, few and point["value"] != "0"
    pairs = [{"a": before, "b": after} for before, after in pairwise(points)]
    return {"name": one["name"], "points": points, "pairs": pairs, "second": bool(index)}
