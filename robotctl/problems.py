"""Errors as RFC 9457 problem details, and the shape of lists."""

import json
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import exceptions, status
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.response import Response
from rest_framework.settings import api_settings

from robotctl.text import UNFIT

TITLES = {
    400: "Invalid",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    429: "Too many requests",
}


class Pages(PageNumberPagination):
    """`?page=`, `?page_size=` (at most 1,000)."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1_000


class StrictFilters(DjangoFilterBackend):
    """Filters by field name; a name that the list does not know is refused, not ignored: unfiltered rows would look filtered."""

    RESERVED = {"page", "page_size", "ordering", "format"}

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        filterset = self.get_filterset_class(view, queryset)
        known = set(filterset.base_filters) if filterset else set()
        unknown = sorted(set(request.query_params) - known - self.RESERVED)
        if unknown:
            raise exceptions.ValidationError(
                {name: f"This list is filtered by {', '.join(sorted(known))}." for name in unknown}
            )
        return super().filter_queryset(request, queryset, view)


DEEPEST = 64  # levels; whatever handles the body later may recurse


def _check_value(value: Any, levels: int = DEEPEST) -> None:
    """Raise ParseError for what is nested too deep, or holds a character that no text should."""
    if isinstance(value, str):
        if UNFIT.search(value):
            raise exceptions.ParseError("A text must not hold NUL or other control characters.")
    elif isinstance(value, dict | list):
        if levels == 0:
            raise exceptions.ParseError(f"The body is nested deeper than {DEEPEST} levels.")
        for name in value if isinstance(value, dict) else ():
            _check_value(name, levels)
        for one in value.values() if isinstance(value, dict) else value:
            _check_value(one, levels - 1)


def _no_twins(pairs: list[tuple[str, Any]]) -> None:
    """Two readers of one body must not see two different orders."""
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        twin = next(name for name in names if names.count(name) > 1)
        raise exceptions.ValidationError({twin: "This field is given twice."})


def _require_size(parser_context: Any) -> None:
    """DRF reads the stream itself, past Django's own limit."""
    told = parser_context["request"].META.get("CONTENT_LENGTH") or "0"
    if not str(told).isdigit() or int(told) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise RequestDataTooBig


class StrictJSONParser(JSONParser):
    """JSON that can be stored and sent on: no depth without end, no name twice, no lone surrogates, no NUL, no NaN."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        _require_size(parser_context)
        body = stream.read()
        try:
            value = msgspec.json.decode(body)
            json.loads(body, object_pairs_hook=_no_twins)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise exceptions.ParseError(f"The body is not JSON: {error}") from error
        _check_value(value)
        return value


class StrictFormParser(FormParser):
    """Forms, of bounded size."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        _require_size(parser_context)
        return super().parse(stream, media_type, parser_context)


class Problem(exceptions.APIException):
    """A refusal with a code of its own: `raise Problem(409, "stop_latched", "…")`. `recorded`: words for the journal instead."""

    def __init__(
        self,
        status_code: int,
        code: str,
        detail: str,
        *,
        errors: dict[str, list[str]] | None = None,
        recorded: str = "",
    ) -> None:
        self.status_code = status_code
        self.errors = errors
        self.recorded = recorded
        super().__init__(detail, code)

    @property
    def code(self) -> str:
        return str(self.get_codes())


def _flatten(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Field errors as one level: `{"params.target_m": ["…"]}`."""
    if isinstance(detail, dict):
        flat: dict[str, list[str]] = {}
        for name, value in detail.items():
            inner = prefix if name == api_settings.NON_FIELD_ERRORS_KEY else f"{prefix}.{name}"
            flat |= _flatten(value, inner if prefix else str(name))
        return flat
    if isinstance(detail, list) and any(isinstance(item, dict) for item in detail):
        flat = {}
        for index, value in enumerate(detail):
            flat |= _flatten(value, f"{prefix}.{index}")
        return flat
    return {prefix: [str(item) for item in (detail if isinstance(detail, list) else [detail])]}


def body(exc: Exception) -> dict[str, Any]:
    """`{"type","title","status","detail","code"[,"errors"]}` for an exception that DRF would answer."""
    errors: dict[str, list[str]] | None = None
    if isinstance(exc, Problem):
        code, detail, errors, number = exc.code, str(exc.detail), exc.errors, exc.status_code
    elif isinstance(exc, exceptions.ValidationError):
        code, number, errors = "invalid", status.HTTP_400_BAD_REQUEST, _flatten(exc.detail)
        detail = " ".join(f"{name}: {words[0]}" for name, words in errors.items())
    elif isinstance(exc, Http404):
        code, detail, number = "not_found", "There is nothing here that you may see.", status.HTTP_404_NOT_FOUND
    elif isinstance(exc, exceptions.APIException):
        code, detail, number = str(exc.get_codes()), str(exc.detail), exc.status_code
    else:
        code, detail, number = "permission_denied", str(exc) or "You may not do this.", status.HTTP_403_FORBIDDEN
    shape: dict[str, Any] = {
        "type": f"about:blank#{code}",
        "title": TITLES.get(number, "Error"),
        "status": number,
        "detail": detail,
        "code": code,
    }
    if errors:
        shape["errors"] = errors
    return shape


def as_problem(response: Response, exc: Exception) -> Response:
    """Turn DRF's error response into problem details, keeping its headers (WWW-Authenticate, Retry-After)."""
    response.data = body(exc)
    response.content_type = "application/problem+json" if response.content_type is None else response.content_type
    return response
