"""Where a third-party page cannot keep our content security policy, and what it is allowed instead.

The admin's theme evaluates the expressions in its templates (Alpine). Inline scripts and inline styles are forbidden everywhere.
"""

from collections.abc import Callable

from csp.constants import UNSAFE_EVAL
from django.http import HttpRequest, HttpResponse

ALLOWED_INSTEAD: dict[str, dict[str, list[str]]] = {"/admin/": {"script-src": [UNSAFE_EVAL]}}


class PolicyMiddleware:
    """Sits inside django-csp's middleware and tells it what a response may."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for prefix, update in ALLOWED_INSTEAD.items():
            if request.path.startswith(prefix):
                response._csp_update = update  # type: ignore[attr-defined]  # what csp's decorators set
        return response
