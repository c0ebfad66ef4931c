"""The Origin check of sockets: scheme, host and port, as the browser and the proxy tell them."""

from typing import Any

import pytest

from realtime import origin

PROXY = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.mark.parametrize(("scheme", "given", "host", "forwarded", "ours"), [
    ("ws", "http://robots.example", "robots.example", None, True),
    ("ws", "http://robots.example:80", "robots.example", None, True),
    ("ws", "http://robots.example:8000", "robots.example:8000", None, True),
    ("wss", "https://robots.example", "robots.example:443", None, True),
    ("ws", "https://robots.example", "robots.example", None, False),
    ("wss", "http://robots.example", "robots.example", None, False),
    ("ws", "http://robots.example:8001", "robots.example:8000", None, False),
    ("ws", "http://robots.example:8000", "robots.example", None, False),
    ("ws", "http://evil.example", "robots.example", None, False),
    ("ws", "http://evil.example", "evil.example", None, False),
    ("ws", "http://robots.example@evil.example", "robots.example", None, False),
    ("ws", "http://user@robots.example", "robots.example", None, False),
    ("ws", "http://robots.example/path", "robots.example", None, False),
    ("ws", "http://robots.example:port", "robots.example", None, False),
    ("ws", "http://[::1]:8000", "[::1]:8000", None, True),
    ("ws", "http://[::1", "[::1", None, False),
    ("ws", "null", "robots.example", None, False),
    ("ws", "file://", "robots.example", None, False),
    ("ws", "", "", None, False),
    ("ws", "https://robots.example", "robots.example", "https", True),
    ("ws", "https://robots.example", "robots.example", "https, http", True),
    ("ws", "http://robots.example", "robots.example", "https", False),
    ("wss", "https://robots.example", "robots.example", "http", False),
    ("ws", "http://robots.example", "robots.example", "http", True),
])  # fmt: skip
def test_scheme_host_and_port_are_those_of_the_request(
    settings: Any, scheme: str, given: str, host: str, forwarded: str | None, ours: bool
) -> None:
    settings.ALLOWED_HOSTS = ["robots.example", "[::1]"]
    settings.SECURE_PROXY_SSL_HEADER = PROXY if forwarded else None
    headers = {b"origin": given.encode(), b"host": host.encode()}
    if forwarded:
        headers[b"x-forwarded-proto"] = forwarded.encode()
    assert origin.is_ours(scheme, headers) is ours


def test_the_header_of_a_proxy_counts_only_where_there_is_one(settings: Any) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_PROXY_SSL_HEADER = ["robots.example"], None
    headers = {b"origin": b"https://robots.example", b"host": b"robots.example", b"x-forwarded-proto": b"https"}
    assert not origin.is_ours("ws", headers)
