"""The grid in words: by resource, each cell saying what it is and from where, and folding by the keyboard."""

import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from accounts import roles

pytestmark = pytest.mark.django_db(transaction=True)


def grid(person: Any) -> str:
    client = Client()
    client.force_login(person)
    return client.get("/admin/accounts/role/matrix", follow=True).content.decode()


def test_the_grid_is_grouped_by_resource_and_says_where_a_right_is_from(people: Any) -> None:
    shown = grid(people["ada"])
    resources = list(dict.fromkeys(action.partition(".")[0] for action in roles.ACTIONS))
    assert re.findall(r'aria-expanded="true" aria-controls="rights-(\w+)"', shown) == resources
    assert re.findall(r'<tbody id="rights-(\w+)"', shown) == resources
    assert 'aria-label="Engineer inherits robot.jog from operator"' in shown
    assert 'title="Operator, inherits from viewer"' in shown
    assert shown.count('type="checkbox" name="cell"') == shown.count('<label><input type="checkbox" name="cell"')
    assert 'role="status"' in shown and "Save the matrix" in shown
    for name in ("accounts/matrix.css", "accounts/matrix.js"):
        assert name in shown and finders.find(name)


def test_who_may_only_look_has_nothing_to_save(people: Any) -> None:
    shown = grid(people["otto"])
    assert "Save the matrix" not in shown and 'id="matrix-undo"' not in shown
    boxes = re.findall(r'<input type="checkbox" name="cell"[^>]*>', shown)
    assert boxes and all(" disabled" in box for box in boxes)
