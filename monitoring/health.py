"""How well things are, as a score that can be explained: 100 without the points of each deduction, which is listed with its cause."""

from collections.abc import Iterable
from typing import Any, TypedDict

WARNING_BELOW, CRITICAL_BELOW = 80, 60
OF_WARNING, OF_CRITICAL = 15, 45  # points for a share of a host that is beyond its threshold
OF_UNKNOWN = 25  # for a host that is not measured
OF_ROBOTS = 60  # points that all robots have together: each its part
NAMES = {"cpu": "Processor", "memory": "Memory", "disk": "Disk"}


class Deduction(TypedDict):
    cause: str
    points: int


class Scored(TypedDict):
    """`score` null and `status` unknown: what it rests on is not known now."""

    score: int | None
    status: str
    deductions: list[Deduction]


def health_score(found: Iterable[Deduction]) -> Scored:
    """The score is 100 minus the points, exactly: the last deduction is cut so that it does not fall below 0."""
    left, kept = 100, []
    for one in found:
        points = min(one["points"], left)
        if points > 0:
            kept.append(Deduction(cause=one["cause"], points=points))
            left -= points
    status = "critical" if left < CRITICAL_BELOW else "warning" if left < WARNING_BELOW else "healthy"
    return Scored(score=left, status=status, deductions=kept)


def unknown(cause: str) -> Scored:
    return Scored(score=None, status="unknown", deductions=[Deduction(cause=cause, points=0)])


def of_host(measured: dict[str, Any], limits: dict[str, float]) -> Scored:
    """`measured`: as `monitoring/metrics/` has a host; `limits`: `cpu_warning`, `cpu_critical` …"""
    if measured["quality"] != "live":
        age_s = measured["age_s"]
        return unknown("It was never measured." if age_s is None else f"It was not measured for {age_s:.0f} s.")
    found = []
    for kind, name in NAMES.items():
        value, warning, critical = measured[f"{kind}_percent"], limits[f"{kind}_warning"], limits[f"{kind}_critical"]
        if value is not None and value >= warning:
            limit, points = (critical, OF_CRITICAL) if value >= critical else (warning, OF_WARNING)
            found.append(Deduction(cause=f"{name} {value:.0f} %, limit {limit:.0f} %", points=points))
    return health_score(found)


def of_fleet(hosts: dict[str, Scored], robots: dict[str, Scored]) -> Scored:
    """All hosts' deductions, and of each robot its part of the points that the robots have together. Unknown when no host is known;
    of several, one that is not measured costs points: nobody knows that it is well."""
    if all(one["score"] is None for one in hosts.values()):
        return unknown("No host is being measured.")
    found = [
        Deduction(cause=f"Host {name}: {one['cause']}", points=one["points"] or OF_UNKNOWN)
        for name, scored in hosts.items()
        for one in scored["deductions"]
    ]
    for slug, scored in robots.items():
        lost = 100 - (scored["score"] if scored["score"] is not None else 0)
        if lost:
            causes = ", ".join(one["cause"] for one in scored["deductions"])
            found.append(
                Deduction(cause=f"Robot {slug}: {causes}", points=max(1, round(OF_ROBOTS * lost / 100 / len(robots))))
            )
    return health_score(found)
