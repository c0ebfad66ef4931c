"""API tokens with less than their person's rights: some actions, some robots, and stop only with its scope."""

from typing import Any

import pytest

from accounts import stop_tickets
from accounts.models import ApiToken
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1"


@pytest.fixture
def fleet(people: Any) -> None:
    for number in (1, 2):
        register(f"oht-0{number}", f"http://127.0.0.1:{number}")


def client(api: Any, who: str = "erin", **limits: Any) -> Any:
    made = api(who).post(f"{API}/auth/tokens/", {"name": "script", **limits})
    assert made.status_code == 201, made.json()
    found = api(None)
    found.credentials(HTTP_AUTHORIZATION=f"Token {made.json()['token']}")
    return found


def test_on_its_robots_only(fleet: None, api: Any) -> None:
    limited = client(api, robots=["oht-02"])
    assert [one["slug"] for one in limited.get(f"{API}/robots/").json()["results"]] == ["oht-02"]
    assert limited.get(f"{API}/robots/oht-01/").status_code == 404
    assert limited.get(f"{API}/robots/oht-02/").status_code == 200
    assert limited.send("oht-01", "move", {"target_m": 1}).status_code == 404


def test_its_actions_only(fleet: None, api: Any) -> None:
    limited = client(api, actions=["robot.view"])
    assert limited.get(f"{API}/robots/oht-01/state/").status_code == 200
    assert limited.send("oht-01", "move", {"target_m": 1}).status_code == 403
    assert limited.post(f"{API}/robots/", {"slug": "x"}).status_code in (400, 403)
    assert limited.get(f"{API}/auth/me/").json()["rights"] == ["robot.view"]
    assert limited.post(f"{API}/robots/oht-01/stop/").status_code == 403


def test_stop_is_a_scope_of_its_own(fleet: None, api: Any) -> None:
    stopper = client(api, actions=["fleet.view"], scopes=["stop"], robots=["oht-01"])
    stopped = stopper.post(f"{API}/robots/oht-01/stop/")
    assert stopped.status_code == 200 and stopped.json()["results"][0]["robot"] == "oht-01"
    assert stopper.post(f"{API}/robots/oht-02/stop/").status_code == 404
    assert [one["robot"] for one in stopper.post(f"{API}/stop/").json()["results"]] == ["oht-01"]
    ticket = stopper.post(f"{API}/auth/stop-ticket/")
    assert ticket.status_code == 200
    by_ticket = api(None).post(f"{API}/stop/", headers={"X-Stop-Ticket": ticket.json()["ticket"]})
    assert by_ticket.status_code == 401 or {one["robot"] for one in by_ticket.json()["results"]} == {"oht-01"}


def test_a_token_for_a_robot_that_is_not_seen_is_refused_in_words(fleet: None, api: Any) -> None:
    asked = {"name": "arm", "robots": ["oht-01", "oht-1", "lift-7"]}
    for who, words in (
        ("alice", "No such robot: lift-7, oht-1."),
        ("charlie", "No such robot: lift-7, oht-01, oht-1."),
    ):
        answer = api(who).post(f"{API}/auth/tokens/", asked)
        assert (answer.status_code, answer.json()["errors"]["robots"]) == (400, [words])
    assert ApiToken.objects.exclude(name="").count() == 0


def test_a_stop_ticket_names_the_robots_of_its_token_and_no_others(fleet: None, api: Any) -> None:
    for who in ("erin", "ada"):
        stopper = client(api, who, scopes=["stop"], robots=["oht-01"])
        ticket = stop_tickets.read(stopper.post(f"{API}/auth/stop-ticket/").json()["ticket"])
        assert ticket is not None and ticket.slugs == frozenset({"oht-01"})
        assert not ticket.allows("oht-02")
    none = client(api, scopes=["stop"], robots=["oht-01"])
    ApiToken.objects.update(robots=[])  # as older ones may be
    assert none.post(f"{API}/auth/stop-ticket/").status_code == 403


def test_a_limited_token_gives_no_more_than_it_has(fleet: None, api: Any, people: Any) -> None:
    assert client(api, actions=["robot.view"]).post(f"{API}/auth/tokens/", {"name": "wider"}).status_code == 403
    manager = client(api, "ada", actions=["users.view", "users.manage"])
    answer = manager.patch(f"{API}/users/bob/", {"role": "admin"})
    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")


def test_it_gives_nothing_that_its_person_has_not(fleet: None, api: Any) -> None:
    assert client(api, "bob", actions=["robot.command"]).send("oht-01", "move", {"target_m": 1}).status_code in (
        403,
        404,
    )


def test_when_it_was_last_used_is_told_and_the_token_is_not(fleet: None, api: Any) -> None:
    client(api, robots=["oht-01"]).get(f"{API}/robots/")
    (row,) = [one for one in api("erin").get(f"{API}/auth/tokens/").json()["results"] if one["name"] == "script"]
    assert row["last_used_at"] is not None and row["robots"] == ["oht-01"] and "token" not in row
    assert ApiToken.objects.get(name="script").digest not in str(row)


@pytest.mark.parametrize(("limits", "field"), [
    ({"actions": ["robot.fly"]}, "actions.0"), ({"robots": "oht-01"}, "robots"), ({"scopes": ["all"]}, "scopes.0"),
    ({"robots": []}, "robots"),
])  # fmt: skip
def test_bad_limits_are_refused(limits: Any, field: str, api: Any) -> None:
    answer = api("erin").post(f"{API}/auth/tokens/", {"name": "script", **limits})
    assert answer.status_code == 400 and field in answer.json()["errors"], answer.json()
