"""Bodies that are no good are refused with 400 and a word on why; none of them is a crash."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import ApiToken

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS = "/api/v1/auth/tokens/"


def sent(client: Any, body: str, path: str = TOKENS) -> Any:
    return client.post(path, body.encode("utf-8", "surrogatepass"), content_type="application/json")


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"name": ' + "[" * 70 + "]" * 70 + "}",
        '{"name": "a\\u0000b"}',
        '{"name": "a\\u001bb"}',
        '{"name\\u0000": "ab"}',
        '{"name": "\ud800"}',
        '{"name": NaN}',
        '{"name": ' + "9" * 5_000 + "}",
        '{"name": "a", "name": "b"}',
        '{"name": "a", "deep": {"b": 1, "b": 2}}',
        "[]",
        "null",
        '"text"',
        "1e999",
    ],
)
def test_a_body_that_is_no_good_is_400(api: Any, body: str) -> None:
    answer = sent(api("alice"), body)
    assert answer.status_code == 400, answer.content[:300]
    assert answer["Content-Type"] == "application/problem+json"
    assert ApiToken.objects.filter(name__in=["a", "b"]).count() == 0


def test_a_name_that_is_given_twice_is_refused_by_its_name(api: Any) -> None:
    assert sent(api("alice"), '{"name": "a", "name": "b"}').json()["errors"] == {"name": ["This field is given twice."]}


def test_a_field_that_nobody_knows_is_refused_and_told_with_the_other_mistakes(api: Any) -> None:
    answer = api("alice").post(TOKENS, {"scope": ["stop"], "expires_in_s": 1}, format="json")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"scope", "name", "expires_in_s"}
    assert answer.json()["errors"]["scope"] == ["There is no such field here."]


def test_a_form_of_too_many_fields_and_a_body_that_is_too_large_are_refused(api: Any) -> None:
    many = "&".join(f"f{number}=1" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 10))
    form: dict[str, Any] = {"content_type": "application/x-www-form-urlencoded"}
    answer = api("alice").post(TOKENS, many, **form)
    assert (answer.status_code, answer.json()["code"]) == (400, "too_many_fields")
    assert Client().post("/sign-in/", many, **form).status_code == 400
    large = "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    assert sent(api("alice"), f'"{large}"').status_code == 413
    assert api("alice").post(TOKENS, f"name={large}", **form).status_code == 413
