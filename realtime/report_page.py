"""`/reports/` and `/reports/{name}/`: the reports on screen and on paper. What they say is made by accounts and firmware."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from accounts import permissions, reports
from accounts.models import User
from accounts.report_views import USUAL, ReportQuery, listed, viewed
from accounts.reports.shapes import TIME
from firmware.models import Robot
from realtime.report_charts import drawn, number
from realtime.views import frame

SHORT = 24  # letters


@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """The reports that there are; needs `journal.view`."""
    context = frame(request, "Reports")
    permissions.require(context["person"], "journal.view")
    return render(request, "realtime/reports.html", context | {"reports": listed()})


@login_required
@never_cache
def page(request: HttpRequest, report: str) -> HttpResponse:
    """One report; needs `journal.view`. A form that is wrong is shown again with what is wrong, and no report (400)."""
    if report not in reports.REPORTS:
        raise Http404
    context = frame(request, reports.REPORTS[report].title)
    person = context["person"]
    permissions.require(person, "journal.view")
    given = {key: str(value) for key, value in request.GET.items() if value}
    query, now = ReportQuery(data=given), timezone.now()
    good = query.is_valid()
    context |= {
        "name": report,
        "reports": listed(),
        "presets": _presets(now, given),
        "robots": permissions.visible(person, Robot.objects.order_by("slug")).values_list("slug", flat=True),
        "people": User.objects.order_by("username").values_list("username", flat=True),
        "given": {"from": now - USUAL, "until": now, **given},
        "errors": query.errors if not good else {},
    }
    if good:
        asked = query.validated_data["asked"]
        context["given"] |= {"from": f"{asked.begins:%Y-%m-%dT%H:%M}", "until": _rounded_up(asked.until)}
        found = viewed(report, asked, person, "page")
        context["report"] = shown(found)
        context["query"] = urlencode(
            {**{key: given[key] for key in ("robot", "person") if key in given}, **found["period"]}
        )
    return render(request, "realtime/report.html", context, status=200 if good else 400)


def _rounded_up(moment: datetime) -> str:
    """For the form, which knows minutes only: none of what is shown may be lost when it is sent again."""
    return f"{moment + timedelta(seconds=59):%Y-%m-%dT%H:%M}"


def _presets(now: datetime, given: dict[str, str]) -> list[dict[str, str]]:
    """The usual periods, as addresses that keep the robot and the person."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [midnight + timedelta(days=day, minutes=at) for day in (-2, -1, 0) for at in settings.ENV.shifts]
    *_, before, this = (start for start in starts if start <= now)
    periods = {
        "This shift": (this, now),
        "Last shift": (before, this),
        "Today": (midnight, now),
        "24 h": (now - timedelta(hours=24), now),
        "7 d": (now - timedelta(days=7), now),
        "30 d": (now - timedelta(days=30), now),
    }
    kept = {key: given[key] for key in ("robot", "person") if key in given}
    return [
        {
            "words": words,
            "query": urlencode(kept | {"from": f"{begins:%Y-%m-%dT%H:%M:%SZ}", "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}),
        }
        for words, (begins, until) in periods.items()
    ]


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """A report as the template shows it: cells as words, charts drawn."""
    figures = [{**one, "shown": _cell(one["value"], one["unit"])} for one in found["figures"]]
    tables = []
    for one in found["tables"]:
        units = [column["unit"] for column in one["columns"]]
        links = one["links"] or [""] * len(one["rows"])
        rows = [
            {"link": link, "cells": [_cell(value, unit) for value, unit in zip(row, units, strict=True)]}
            for row, link in zip(one["rows"], links, strict=True)
        ]
        kinds = [{row["cells"][index]["kind"] for row in rows} for index in range(len(units))]
        columns = [{**column, "number": "number" in kind} for column, kind in zip(one["columns"], kinds, strict=True)]
        for row in rows:
            for cell, column in zip(row["cells"], columns, strict=True):
                cell["number"] = column["number"] and cell["kind"] == "none"
        tables.append(
            {**one, "columns": columns, "rows": rows, "cut": one["total"] > len(rows), "linked": bool(one["links"])}
        )
    period = {name: _cell(moment, TIME)["text"] for name, moment in found["period"].items()}
    made_at = _cell(found["made_at"], TIME)["text"]
    return {**found, "figures": figures, "tables": tables, "charts": [drawn(one) for one in found["charts"]]} | {
        "period": period,
        "made_at": made_at,
    }


def _cell(value: Any, unit: str) -> dict[str, Any]:
    """`{"text","kind"}`; kind: time, number, none, short (kept on one line), words."""
    if value is None or value == "":
        return {"text": "–" if value is None else "", "kind": "none"}
    if unit == TIME:
        return {"text": str(value)[:19].replace("T", " "), "kind": "time"}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"text": number(value), "kind": "number"}
    return {"text": str(value), "kind": "short" if len(str(value)) <= SHORT else "words"}
