"""`/health/live` and `/health/ready`."""

import time
from collections.abc import Callable
from datetime import timedelta

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from accounts import journal_health, seals
from firmware.models import Poller
from monitoring.models import Heartbeat
from monitoring.tasks import SCHEDULED_WORK

POLL_SILENT_AFTER = timedelta(seconds=10)
WORK_SILENT_AFTER = timedelta(seconds=40)
UNSEALED_AFTER = timedelta(seconds=60)
Check = tuple[str, str]  # status "ok" | "degraded" | "failed", detail


def live(request: HttpRequest) -> JsonResponse:
    """200 while the process runs."""
    return JsonResponse({"status": "live"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 for ready and degraded, 503 without database or migrations.

    `{"status": "ready|degraded|not_ready", "checks": {name: {"status", "detail"}}}`
    """
    checks = {name: check() for name, check in CHECKS.items()}
    states = {state for state, _ in checks.values()}
    status = "not_ready" if "failed" in states else "degraded" if "degraded" in states else "ready"
    body = {
        "status": status,
        "checks": {name: {"status": state, "detail": detail} for name, (state, detail) in checks.items()},
    }
    return JsonResponse(body, status=503 if status == "not_ready" else 200)


def _database() -> Check:
    began = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "failed", "The database does not answer."
    return "ok", f"answers in {(time.monotonic() - began) * 1000:.1f} ms"


def _migrations() -> Check:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "failed", "The database does not answer."
    return (
        ("failed", f"{len(waiting)} migrations are not applied: run `manage.py migrate`.")
        if waiting
        else ("ok", "all applied")
    )


def _bus() -> Check:
    bus = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.25, socket_connect_timeout=0.25)
    try:
        bus.ping()
    except redis.RedisError:
        return "degraded", "The bus does not answer: pages fall behind, stop and commands work."
    finally:
        bus.close()
    return "ok", "answers"


def _poll() -> Check:
    try:
        living = Poller.objects.filter(seen_at__gt=timezone.now() - POLL_SILENT_AFTER).count()
    except DatabaseError:
        return "failed", "The database does not answer."
    return ("ok", f"{living} running") if living else ("degraded", "No poll process lives: no robot is being read.")


def _scheduled_work() -> Check:
    try:
        age = Heartbeat.age_of(SCHEDULED_WORK, timezone.now())
    except DatabaseError:
        return "failed", "The database does not answer."
    if age is None or age > WORK_SILENT_AFTER:
        return "degraded", "No sign of life from beat and worker" + (
            f" for {age.total_seconds():.0f} s." if age else " yet."
        )
    return "ok", f"last sign of life {age.total_seconds():.0f} s ago"


def _journal() -> Check:
    try:
        state = journal_health.state()
    except DatabaseError:
        return "failed", "The database does not answer."
    if wrong := journal_health.wrong(state):
        return "degraded", " ".join(wrong)
    return "ok", f"{state['seals']} seals, the whole checked at {state['whole_checked_at'] or 'no time yet'}"


def _seals() -> Check:
    try:
        tail = seals.tail()
    except DatabaseError:
        return "failed", "The database does not answer."
    age = timedelta(seconds=tail.age_s(timezone.now()))
    words = f"{tail.count} rows are not sealed yet, the oldest for {age.total_seconds():.0f} s"
    return ("degraded" if age > UNSEALED_AFTER else "ok"), words


CHECKS: dict[str, Callable[[], Check]] = {
    "database": _database,
    "migrations": _migrations,
    "bus": _bus,
    "poll": _poll,
    "scheduled_work": _scheduled_work,
    "journal": _journal,
    "seals": _seals,
}
