"""May the stranger? Every address of the resolver is asked; a new one that answers a stranger fails here."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

PUBLIC = {
    "sign-in/", "sign-out/", "health/live", "health/ready",
    "api/schema/", "api/docs/",  # they describe the API and hold no data
    "api/v1/auth/login/", "api/v1/auth/register/", "register/",  # 404 unless switched on; see accounts/tests/test_registration.py
    "account/link/<uidb64>/<token>/",  # the token is the way in; see accounts/tests/test_links.py
}  # fmt: skip
PARTS = {"slug": "oht-01", "int": "1", "str": "x"}


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if path != "admin/":  # its site asks before every page; see test_registry.py
                yield from addresses(pattern.url_patterns, path)
        else:
            yield path


def asked() -> list[str]:
    return sorted(set(addresses(get_resolver().url_patterns)) - PUBLIC)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_a_stranger_gets_nothing_anywhere(method: str) -> None:
    paths = asked()
    assert len(paths) > 20
    for path in paths:
        path = re.sub(r"<(\w+):\w+>", lambda part: PARTS[part[1]], path)
        answer = getattr(Client(), method)(f"/{path}")
        signs_in = answer.status_code == 302 and answer["Location"].startswith("/sign-in/")
        assert answer.status_code == 401 or signs_in, f"{method} {path}: {answer.status_code}"


@pytest.mark.django_db(transaction=True)
def test_the_admin_asks_a_stranger_to_sign_in() -> None:
    for path in (
        "",
        "firmware/robot/",
        "accounts/user/",
        "accounts/journalentry/",
        "accounts/role/",
        "firmware/command/",
    ):
        assert Client().get(f"/admin/{path}").status_code == 302
