"""On which line of a profile's file a key stands."""

import re

HEADER = re.compile(r"""\s*(\[\[?)([\w"'.\- ]+)\]\]?\s*(#.*)?$""")


def line_of(text: str, key: str) -> int | None:
    """The line on which `key` stands, or the nearest table above it that is there, or the first of those within it."""
    steps = [step.strip('"') for step in re.findall(r'"[^"]*"|[^.\[\]"]+', key)]
    table: list[str] = []
    counts: dict[str, int] = {}  # of the tables of an array
    best, best_depth, within = None, 0, None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            table = [step.strip(' "') for step in re.findall(r'"[^"]*"|[^.\s"]+', header[2])]
            if header[1] == "[[":
                index = counts[header[2]] = counts.get(header[2], -1) + 1
                table.append(str(index))
            here = table
        elif name := re.match(r'\s*("[^"]*"|[\w.-]+)\s*=', line):
            here = table + [step.strip('"') for step in ([name[1]] if name[1][0] == '"' else name[1].split("."))]
        else:
            continue
        if here == steps[: len(here)] and len(here) > best_depth:
            best, best_depth = number, len(here)
        elif within is None and here[: len(steps)] == steps:
            within = number
    return best if best_depth == len(steps) or within is None else within
