"""`journal/export/`: the file goes out while it is made."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import context, journal, permissions
from accounts import seal_format as form
from accounts.journal_export import Export
from accounts.journal_filters import search
from accounts.journal_views import JournalFilters, asked
from accounts.lockout import known
from accounts.models import JournalEntry

KINDS = {"jsonl": "application/jsonl", "csv": "text/csv"}
LINES = 200  # in one piece


class JournalExport(APIView):
    """All rows that `journal/` would list, in the order of their ids, as a file; needs `journal.export`.

    `?as=jsonl` (the default) is signed, with the seals, for `python -m accounts.verify`; `?as=csv` is a table. That it was asked
    for is journalled before the first byte (`journal.exported`), how many rows it had when it ends (`journal.export_ended`).
    """

    @extend_schema(
        parameters=[JournalFilters, OpenApiParameter("as", str, enum=sorted(KINDS))], responses=OpenApiTypes.BINARY
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        permissions.require(request.user, "journal.export")
        kind = request.query_params.get("as", "jsonl")
        if kind not in KINDS:
            raise serializers.ValidationError({"as": f"There are {' and '.join(sorted(KINDS))}."})
        wanted = search(asked(request, JournalFilters, besides=("as",)))
        filtered_by = {name: value for name, value in request.query_params.items() if name != "as"}
        last = JournalEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        made = Export(wanted, last)
        lines = made.csv() if kind == "csv" else made.jsonl(filtered_by)
        begun = journal.record("journal.exported", data={"as": kind, "filter": _told(filtered_by), "up_to": last})
        return StreamingHttpResponse(
            Stream(made, lines, begun),
            content_type=f"{KINDS[kind]}; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="robotctl-journal.{kind}"',
                "X-Accel-Buffering": "no",
            },
        )


def _told(filtered_by: dict[str, Any]) -> dict[str, Any]:
    """The filter for a row that stays for ever: people by their numbers, and of words only that some were looked for."""
    told = dict(filtered_by)
    for name in ("actor", "person", "target"):
        if name in told and (name != "target" or known(str(told[name]))):
            told[name] = journal.who(known(str(told[name])))
    if "q" in told:
        told["q"] = bool(told["q"])
    return told


class Stream:
    """Lines for ASGI: each piece is made in the request's own thread, where its connection is, and the loop goes on meanwhile."""

    def __init__(self, made: Export, lines: Iterator[str], begun: JournalEntry) -> None:
        self._made, self._lines, self._begun, self._origin = made, lines, begun, context.current()
        self._closed = False

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        piece = await sync_to_async(self._piece, thread_sensitive=True)()
        if not piece:
            raise StopAsyncIteration
        return piece

    def _piece(self) -> bytes:
        piece = form.as_bytes("".join(islice(self._lines, LINES)))
        if not piece:
            self.close()
        return piece

    def close(self) -> None:
        """Say how it ended. Django calls this, too, when all is sent, or when whoever asked has gone."""
        if self._closed:
            return
        self._closed = True
        data: dict[str, Any] = {"export": self._begun.pk, "rows": self._made.rows}
        outcome = journal.Outcome.OK if self._made.whole else journal.Outcome.FAILED
        journal.record("journal.export_ended", outcome=outcome, data=data, origin=self._origin)
