"""What a change of a person in the admin ends: as much as the same change in the API."""

from typing import Any

import pytest
from django.test import Client

from accounts import links, permissions
from accounts.models import ApiToken, SignIn, User
from robotctl.tests.fixtures import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(people: Any) -> Client:
    client = Client()
    client.force_login(people["ada"])
    return client


def save(admin: Client, person: User, **changed: Any) -> Any:
    person = User.objects.get(pk=person.pk)
    about = {"username": person.username, "role": person.role_id, "is_active": person.is_active} | changed
    form = {name: value for name, value in about.items() if value is not False}
    return admin.post(f"/admin/accounts/user/{person.pk}/change/", form)


def test_who_is_deactivated_in_the_admin_is_out_for_good(admin: Client, api: Any, people: Any) -> None:
    alice, browser = people["alice"], Client()
    assert browser.post("/sign-in/", {"username": "alice", "password": PASSWORD}).status_code == 302
    token = api("alice")
    link = links.generator.make_token(User.objects.get(pk=alice.pk))
    for active in (False, True):
        assert save(admin, alice, is_active=active).status_code == 302
        assert User.objects.get(pk=alice.pk).is_active is active
        assert not ApiToken.objects.filter(user=alice).exists()
        assert not SignIn.objects.filter(user=alice).exists()
        assert not links.generator.check_token(User.objects.get(pk=alice.pk), link)
        assert token.get("/api/v1/auth/me/").status_code == 401
        assert browser.get("/api/v1/auth/me/").status_code == 401


def test_who_was_forgotten_does_not_come_back_in_the_admin(admin: Client, people: Any) -> None:
    User.objects.filter(pk=people["alice"].pk).update(username=f"deleted-{people['alice'].pk}", is_active=False)
    save(admin, people["alice"], is_active=True)
    assert not User.objects.get(pk=people["alice"].pk).is_active


def test_the_last_administrator_is_not_left_without_a_password(admin: Client, people: Any) -> None:
    User.objects.filter(pk=people["ada"].pk).update(role="viewer")
    second = User.objects.create_user("zoe", password=PASSWORD, role_id="admin")
    third = User.objects.create_user("yan", role_id="admin")  # came in by other means; no password
    admin.force_login(third)
    answer = admin.post(
        f"/admin/accounts/user/{second.pk}/password/", {"usable_password": "false", "unset-password": "1"}, follow=True
    )
    assert "Nobody would be left" in answer.content.decode()
    assert User.objects.get(pk=second.pk).has_usable_password()
    assert permissions.may(User.objects.get(pk=second.pk), "users.manage")
