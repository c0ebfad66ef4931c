"""The role table of the design, and what no table can change."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Role
from accounts.roles import DEFAULTS, effective

TABLE = {name: (spec.parent, frozenset(spec.permissions)) for name, spec in DEFAULTS.items()}
COLUMNS = {
    "fleet.view": "guest viewer operator engineer admin auditor",
    "robot.view": "viewer operator engineer admin auditor",
    "robot.stop": "viewer operator engineer admin auditor",
    "robot.command": "operator engineer admin",
    "robot.jog": "operator engineer admin",
    "alerts.acknowledge": "operator engineer admin",
    "robot.reset": "engineer admin",
    "robot.configure": "engineer admin",
    "robot.register_write": "engineer admin",
    "robot.break_lease": "engineer admin",
    "robot.approve": "engineer admin",
    "alerts.configure": "engineer admin",
    "users.manage": "admin",
    "roles.manage": "admin",
    "system.admin": "admin",
    "journal.view": "admin auditor",
    "journal.export": "admin auditor",
}


@pytest.mark.parametrize("action", COLUMNS)
def test_the_table_of_the_design(action: str) -> None:
    assert {role for role in TABLE if action in effective(role, TABLE)} == set(COLUMNS[action].split())


@given(st.sets(st.sampled_from(["robot.view", "robot.stop", "robot.command", "fleet.view"])))
def test_view_and_stop_cannot_be_parted_by_any_role(own: set[str]) -> None:
    rights = effective("custom", {"custom": (None, frozenset(own))})
    assert ("robot.view" in rights) == ("robot.stop" in rights)


def test_a_cycle_of_parents_ends_and_gives_no_more_than_its_members_hold() -> None:
    table = {"a": ("b", frozenset({"robot.view"})), "b": ("a", frozenset({"fleet.view"}))}
    assert effective("a", table) == {"robot.view", "robot.stop", "fleet.view"}


@pytest.mark.django_db
def test_a_role_cannot_inherit_from_itself_and_knows_no_unknown_rights() -> None:
    viewer = Role.objects.get(name="viewer")
    viewer.parent = Role.objects.get(name="engineer")
    with pytest.raises(ValidationError, match="inherit from itself"):
        viewer.full_clean()
    with pytest.raises(ValidationError, match=r"robot\.fly"):
        Role(name="pilot", title="Pilot", permissions=["robot.fly"]).full_clean()


@pytest.mark.django_db
def test_upgrading_never_overwrites_an_edited_role() -> None:
    from accounts.apps import make_default_roles

    Role.objects.filter(name="viewer").update(title="Onlooker")
    make_default_roles()
    assert Role.objects.get(name="viewer").title == "Onlooker"
    assert Role.objects.count() == len(DEFAULTS)
