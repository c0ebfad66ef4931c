"""The first page of the journal by the API, through every middleware, as an auditor asks for it."""

from collections.abc import Callable

from django.conf import settings
from rest_framework.test import APIClient

from accounts.models import ApiToken, Role, User


def first_page() -> Callable[[], None]:
    settings.THROTTLE_RATES = {}
    person, _ = User.objects.get_or_create(username="auditor", password="!", role=Role.objects.get(name="auditor"))
    _, token = ApiToken.objects.create(person, name="bench")
    client = APIClient(headers={"Authorization": f"Token {token}"})

    def ask() -> None:
        answer = client.get("/api/v1/journal/", headers={"Host": "localhost"})
        assert answer.status_code == 200, answer.content

    return ask
