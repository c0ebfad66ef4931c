"""Runs all benchmarks, or those named; prints the table and writes `benchmarks/results.json`."""

import importlib
import json
import sys
from pathlib import Path

from benchmarks.measure import Figure

FOLDER = Path(__file__).parent
ALL = ["polling_cpu", "state_view", "command_latency", "stop_latency", "journal_search", "samples"]


def main() -> int:
    names = sys.argv[1:] or ALL
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(ALL)}.", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names:
        print(f"… {name}", flush=True)
        figures += importlib.import_module(f"benchmarks.{name}").run()
    _keep(figures)
    for figure in figures:
        mark = "reached" if figure.reached else "NOT REACHED"
        print(figure.name)
        print(
            f"    {figure.subject:.4g} against {figure.floor:.4g} {figure.unit} = {figure.ratio:.2f}×, spread {figure.spread}"
        )
        print(f"    goal {figure.goal}: {mark}")
    return 0


def _keep(figures: list[Figure]) -> None:
    """Figures of other benchmarks, and of other runs of this one, stay in the file."""
    path = FOLDER / "results.json"
    kept = json.loads(path.read_text()) if path.exists() else []
    rows = {row["name"]: row for row in kept} | {figure.name: figure.as_dict() for figure in figures}
    path.write_text(json.dumps(list(rows.values()), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
