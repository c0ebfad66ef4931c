"""Where third-party pages cannot keep our content security policy, and what they are allowed instead.

The admin's theme evaluates expressions (Alpine) and, like the API's own pages, sets inline styles. Inline scripts stay forbidden
everywhere; the operator's pages keep the whole policy.
"""

from collections.abc import Callable

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse

ALLOWED_INSTEAD: dict[str, dict[str, list[str]]] = {
    "/admin/": {"style-src": [UNSAFE_INLINE], "script-src": [UNSAFE_EVAL]},
    "/api/": {"style-src": [UNSAFE_INLINE]},
}


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
