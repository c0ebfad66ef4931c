"""A field that nobody knows is refused wherever a body is read: of every address of the API."""

import json
from typing import Any

import pytest
from django.db import transaction

from robotctl.tests import access_table as table

pytestmark = pytest.mark.django_db(transaction=True)
# These read no body at all, and a stop looks only for a reason: it stops whatever is sent with it.
READ_NO_BODY = {
    "auth-logout", "auth-activity", "auth-ws-ticket", "auth-stop-ticket", "robot-lease", "robot-link-test", "command-hold",
    "command-release", "robot-stop", "stop-all", "auth-sign-out-everywhere", "user-link", "user-sign-out", None,
}  # fmt: skip


def test_a_field_that_nobody_knows_is_refused_everywhere(robots: Any, settings: Any) -> None:
    settings.THROTTLE_RATES = {}
    settings.REGISTRATION = True
    robot, _ = robots("oht-01")
    house = table.furnish(robot)
    client = table.client
    asked = 0
    for address, pattern in table.addresses():
        if not address.startswith("api/v1/") or pattern.name in READ_NO_BODY:
            continue
        for method in {"POST", "PUT", "PATCH"} & set(table.taken(pattern)):
            client.cookies.clear()
            client.cookies[settings.SESSION_COOKIE_NAME] = house.cookies["admin"]
            path, body = table.filled(address, house, "admin"), json.dumps({"nonsense": 1})
            with transaction.atomic():
                answer = client.generic(method, path, body, content_type="application/json")
                transaction.set_rollback(True)
            assert answer.status_code == 400, f"{method} {path}: {answer.status_code} {answer.content[:200]!r}"
            assert answer.json()["errors"]["nonsense"] == ["There is no such field here."], f"{method} {path}"
            asked += 1
    assert asked > 10
