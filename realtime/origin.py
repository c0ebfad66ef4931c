"""Where a browser says that a page came from: a session cookie opens a socket from our own pages only."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

PORTS = {"http": 80, "https": 443}


def is_ours(scope_scheme: str, headers: dict[bytes, bytes]) -> bool:
    """Whether `Origin` has the scheme, the host and the port of this very request, and the host is one of ours.

    `scope_scheme`: of the ASGI scope, `ws` or `wss`. Behind a proxy that ends TLS it is the header that Django, too, goes by.
    """
    scheme = _scheme(scope_scheme, headers)
    given = _place(headers.get(b"origin", b"").decode("latin-1"))
    asked = _place(f"{scheme}://{headers.get(b'host', b'').decode('latin-1')}")
    return given is not None and given == asked and validate_host(given[1], settings.ALLOWED_HOSTS)


def _scheme(scope_scheme: str, headers: dict[bytes, bytes]) -> str:
    """As django.http.HttpRequest.scheme has it."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        told = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower().encode())
        if told is not None:
            return "https" if told.decode("latin-1").split(",", 1)[0].strip() == secure else "http"
    return "https" if scope_scheme in ("wss", "https") else "http"


def _place(url: str) -> tuple[str, str, int] | None:
    """(scheme, host, port); None when it is not the origin of a page of the web, such as `null`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not host or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    host = f"[{host}]" if ":" in host else host
    return parts.scheme, host, PORTS[parts.scheme] if port is None else port


def session_cookie(headers: dict[bytes, bytes]) -> str:
    """The key of the browser's session, if there is one."""
    try:
        cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    return cookie.value if cookie else ""
