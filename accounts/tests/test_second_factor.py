"""The second factor: set up, asked for, used once, lost, demanded by a role; and stop needs none of it."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import factor_models, role_changes, second_factor
from accounts.authentication import session_user
from accounts.models import ApiToken, Authenticator, JournalEntry, Role, StopRevocation, User, WsTicket
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.told import about

pytestmark = pytest.mark.django_db(transaction=True)


def _requiring(role: Role) -> Role:
    role.mfa_required = True
    return role


LOGIN, MFA = "/api/v1/auth/login/", "/api/v1/auth/mfa/"


class App:
    """An authenticator app: each code it shows is a new one."""

    def __init__(self, key: bytes) -> None:
        self.key, self.step = key, -1

    def code(self) -> str:
        """The next code that was not shown before; the server takes the one before and the one after the present."""
        self.step = max(self.step + 1, int(time.time()) // 30 - 1)
        totp = TOTP(self.key)
        totp.time = self.step * 30
        return f"{totp.token():06d}"


def begin(client: Any, password: str = PASSWORD) -> Any:
    return client.post(MFA, {"password": password}, format="json")


def set_up(client: Any) -> tuple[App, list[str]]:
    assert begin(client).status_code == 200
    app = App(Authenticator.objects.get(confirmed=False).bin_key)
    answer = client.post(f"{MFA}confirm/", {"otp": app.code()}, format="json")
    return app, answer.json()["recovery_codes"]


def login(api: Any, name: str = "alice", **more: str) -> Any:
    return api(None).post(LOGIN, {"username": name, "password": PASSWORD, **more}, format="json")


def test_setting_it_up_shows_secret_and_codes_once_and_counts_only_when_confirmed(api: Any) -> None:
    alice = api("alice")
    begun = begin(alice).json()
    assert begun["uri"].startswith("otpauth://totp/robotctl%3Aalice?secret=" + begun["secret"])
    assert begun["qr_svg"].startswith("<svg")
    assert "style=" not in begun["qr_svg"]  # the content security policy would drop it
    assert login(api).status_code == 200
    assert alice.post(f"{MFA}confirm/", {"otp": "000000"}, format="json").status_code == 400
    _, codes = set_up(alice)
    assert len(set(codes)) == 10
    assert alice.get(MFA).json()["recovery_codes_left"] == 10
    assert begin(alice).json()["code"] == "mfa_enabled"
    assert login(api).json()["code"] == "otp_required"
    assert login(api, "bob").status_code == 200
    verbs = [about(row) for row in JournalEntry.objects.filter(verb="auth.factor_set_up")]
    assert verbs == ["alice"]


def test_beginning_asks_for_the_password_and_guesses_count(api: Any) -> None:
    alice = api("alice")
    assert list(alice.post(MFA, {}, format="json").json()["errors"]) == ["password"]
    for _ in range(5):
        assert begin(alice, "wrong-horse-1").json()["errors"] == {"password": ["This is not your current password."]}
    assert not Authenticator.objects.exists()
    assert (begin(alice).status_code, login(api).status_code) == (429, 429)
    assert alice.get(MFA).status_code == 200  # who is in stays in


def signed_in(name: str) -> Client:
    browser = Client()
    assert browser.post("/sign-in/", {"username": name, "password": PASSWORD}).status_code == 302
    return browser


def confirm_in(browser: Client) -> Any:
    """Set it up in a browser."""
    assert browser.post(MFA, {"password": PASSWORD}, content_type="application/json").status_code == 200
    app = App(Authenticator.objects.get(confirmed=False).bin_key)
    return browser.post(f"{MFA}confirm/", {"otp": app.code()}, content_type="application/json")


def test_what_was_let_in_without_it_ends_and_where_it_was_set_up_goes_on(api: Any, people: Any) -> None:
    token, bobs = login(api).json()["token"], api("bob")
    here, elsewhere = signed_in("alice"), signed_in("alice")
    _, made = ApiToken.objects.create(people["alice"], name="cell 3", may_stop=True)
    ticket, _ = WsTicket.issue(people["alice"], session_key=str(elsewhere.session.session_key))
    answer = confirm_in(here)
    assert answer.json()["ended"] == {"sessions": 1, "tokens": 2}
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    for one in (token, made):
        program = api(None)
        program.credentials(HTTP_AUTHORIZATION=f"Token {one}")
        assert program.get("/api/v1/auth/me/").status_code == 401
    redeemed = WsTicket.redeem(ticket)
    assert redeemed is not None
    assert session_user(redeemed.session_key) is None
    assert bobs.get("/api/v1/auth/me/").status_code == 200
    assert JournalEntry.objects.get(verb="auth.factor_set_up").data == {"sessions": 1, "api": 2}


def test_the_token_that_sets_it_up_goes_on(api: Any) -> None:
    alice, browser = api("alice"), signed_in("alice")
    set_up(alice)
    assert alice.get("/api/v1/auth/me/").status_code == 200
    assert browser.get("/").status_code == 302


def test_a_wrong_code_ends_nothing(api: Any) -> None:
    here, elsewhere = signed_in("alice"), signed_in("alice")
    here.post(MFA, {"password": PASSWORD}, content_type="application/json")
    wrong = here.post(f"{MFA}confirm/", {"otp": "000000"}, content_type="application/json")
    assert wrong.status_code == 400
    assert elsewhere.get("/").status_code == 200


def test_a_stranger_gets_nothing_and_others_see_only_their_own(api: Any) -> None:
    set_up(api("alice"))
    assert api(None).get(MFA).status_code == 401
    assert api(None).post(f"{MFA}confirm/", {"otp": "1"}, format="json").status_code == 401
    assert api("bob").get(MFA).json()["enabled"] is False


def test_a_code_is_used_once_and_a_wrong_one_counts_for_the_lockout(api: Any) -> None:
    app, _ = set_up(api("alice"))
    code = app.code()
    assert login(api, otp=code).status_code == 200
    again = login(api, otp=code)
    assert (again.status_code, again.json()["code"], again["WWW-Authenticate"]) == (401, "otp_wrong", "Token")
    for _ in range(4):
        assert login(api, otp="000000").json()["code"] == "otp_wrong"
    assert login(api, otp=app.code()).json()["code"] == "locked_out"


def test_of_two_that_send_the_same_code_at_once_one_gets_in(api: Any, people: Any) -> None:
    app, codes = set_up(api("alice"))

    def attempt(code: str) -> bool:
        try:
            return second_factor.verify(people["alice"], code)
        finally:
            connection.close()

    for code in (app.code(), codes[0]):
        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(attempt, [code] * 4)) == [False, False, False, True]


def test_the_right_password_alone_does_not_wipe_out_the_wrong_codes(api: Any) -> None:
    set_up(api("alice"))
    for _ in range(5):
        assert login(api).json()["code"] == "otp_required"
        login(api, otp="000000")
    assert login(api).json()["code"] == "locked_out"


def test_a_recovery_code_opens_once_however_it_is_typed(api: Any) -> None:
    _, codes = set_up(api("alice"))
    assert login(api, otp=f" {codes[0].upper()} ").status_code == 200
    assert login(api, otp=codes[0]).json()["code"] == "otp_wrong"
    assert login(api, otp=codes[1].replace("-", "")).status_code == 200
    rows = JournalEntry.objects.filter(verb="auth.recovery_code_used").order_by("pk")
    assert [row.data for row in rows] == [{"left": 9}, {"left": 8}]


def test_nothing_that_is_stored_or_journalled_lets_anybody_in(api: Any) -> None:
    alice = api("alice")
    app, codes = set_up(alice)
    stored = TOTPDevice.objects.get().key
    assert len(stored) <= 80
    assert app.key.hex() not in stored
    written = stored + str(list(StaticToken.objects.values())) + str(list(JournalEntry.objects.values()))
    assert not [code for code in codes if code in written or code.replace("-", "") in written]


def test_its_secret_survives_new_keys_while_the_old_one_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from cryptography.fernet import Fernet
    from django.conf import settings

    sealed, before = factor_models.seal(b"x" * 20), settings.ENV
    monkeypatch.setattr(
        settings, "ENV", replace(before, credential_keys=[Fernet.generate_key().decode(), *before.credential_keys])
    )
    assert factor_models.unseal(sealed) == b"x" * 20
    monkeypatch.setattr(settings, "ENV", replace(before, credential_keys=[Fernet.generate_key().decode()]))
    with pytest.raises(factor_models.Unreadable):
        factor_models.unseal(sealed)


def test_the_page_asks_for_the_code_as_well(api: Any) -> None:
    app, _ = set_up(api("alice"))
    browser = Client()
    without = browser.post("/sign-in/", {"username": "alice", "password": PASSWORD})
    assert b"second factor" in without.content
    assert PASSWORD.encode() not in without.content
    assert browser.get("/").status_code == 302
    wrong = browser.post("/sign-in/", {"username": "alice", "password": PASSWORD, "otp": "000000"})
    assert b"This code is wrong" in wrong.content
    assert browser.post("/sign-in/", {"username": "alice", "password": PASSWORD, "otp": app.code()}).status_code == 302
    assert browser.get("/").status_code == 200


def test_turning_it_off_needs_password_and_code(api: Any) -> None:
    alice = api("alice")
    _, codes = set_up(alice)
    for body, field in (
        ({"password": "x", "otp": codes[0]}, "password"),
        ({"password": PASSWORD, "otp": "000000"}, "otp"),
    ):
        assert list(alice.delete(MFA, body, format="json").json()["errors"]) == [field]
    assert second_factor.is_enabled(User.objects.get(username="alice"))
    assert alice.delete(MFA, {"password": PASSWORD, "otp": codes[0]}, format="json").json()["enabled"] is False
    assert login(api).status_code == 200
    assert not StaticToken.objects.exists()


def test_an_administrator_removes_a_lost_one_with_a_reason(api: Any) -> None:
    set_up(api("alice"))
    path, body = "/api/v1/users/alice/mfa/", {"reason": "lost the phone"}
    for name, status in ((None, 401), ("bob", 403), ("otto", 403), ("alice", 403)):
        assert api(name).delete(path, body, format="json").status_code == status
    assert list(api("ada").delete(path, {}, format="json").json()["errors"]) == ["reason"]
    assert login(api).json()["code"] == "otp_required"
    assert api("ada").delete(path, body, format="json").status_code == 200
    assert login(api).status_code == 200
    row = JournalEntry.objects.get(verb="auth.factor_removed")
    assert (about(row), row.reason, row.actor_id) == ("alice", "lost the phone", User.objects.get(username="ada").pk)
    assert api("ada").delete(path, body, format="json").status_code == 404


# --- demanded by a role -----------------------------------------------------------------------------------------------
@pytest.fixture
def demanded(people: Any) -> None:
    role_changes.save(_requiring(Role.objects.get(name="operator")))


def test_who_has_to_have_one_may_stop_and_set_it_up_and_nothing_else(api: Any, robots: Any, demanded: None) -> None:
    robots("oht-01")
    alice, bob = api("alice"), api("bob")
    for path in ("robots/", "robots/oht-01/state/", "auth/tokens/", "auth/sessions/"):
        answer = alice.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "mfa_setup_required"), path
    assert alice.post("/api/v1/robots/oht-01/stop/reset/", {"reason": "x"}, format="json").status_code == 403
    assert alice.post("/api/v1/auth/stop-ticket/").status_code == 200
    stopped = alice.post("/api/v1/stop/", {}, format="json")
    assert [one["robot"] for one in stopped.json()["results"]] == ["oht-01"]
    assert bob.get("/api/v1/robots/").status_code == 200
    set_up(alice)
    assert alice.get("/api/v1/robots/").status_code == 200


def test_pages_lead_to_where_it_is_set_up(people: Any, demanded: None) -> None:
    alice, bob = Client(), Client()
    alice.force_login(people["alice"])
    bob.force_login(people["bob"])
    for path in ("/", "/admin/"):
        assert alice.get(path)["Location"] == "/account/"
    assert b"your role asks for one" in alice.get("/account/").content
    assert bob.get("/").status_code == 200


def test_the_demand_costs_no_query_for_roles_without_it(api: Any) -> None:
    from django.test.utils import CaptureQueriesContext

    alice = api("alice")
    with CaptureQueriesContext(connection) as captured:
        assert alice.get("/api/v1/auth/me/").status_code == 200
    told = [query["sql"] for query in captured if "otp_" in query["sql"] or 'FROM "accounts_user"' in query["sql"]]
    assert told == []


def test_removing_it_rings_for_the_sockets_whatever_the_role_asks(api: Any, people: Any) -> None:
    set_up(api("alice"))
    StopRevocation.objects.all().delete()
    assert second_factor.remove(people["alice"], reason="lost")
    assert StopRevocation.objects.filter(user=people["alice"]).exists()
