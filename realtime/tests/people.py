"""Somebody of a test's own in the running system, made in the admin as an administrator makes them."""

import re
import uuid
from dataclasses import dataclass
from typing import Any

import requests

from robotctl.tests.system import System


@dataclass
class Person:
    """Who was just made. The password is one that an administrator chose: it has to be changed first."""

    system: System
    name: str
    password: str
    role: str

    def login(self, **more: str) -> requests.Response:
        body = {"username": self.name, "password": self.password, **more}
        return requests.post(f"{self.system.url}/api/v1/auth/login/", json=body, timeout=20)

    def token(self) -> dict[str, str]:
        """Signed in anew: the header to send."""
        return {"Authorization": f"Token {self.login().json()['token']}"}

    def call(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> requests.Response:
        return requests.request(method, f"{self.system.url}/api/v1/{path}", json=body, headers=headers, timeout=20)

    def change_password(self, new: str) -> None:
        body = {"old_password": self.password, "new_password": new}
        assert self.call("POST", "auth/password/", self.token(), body).status_code == 200
        self.password = new

    def must_change_password(self) -> None:
        """The administrator ticks it in the admin."""
        pk = self.call("GET", "auth/me/", self.token()).json()["id"]
        about = {"username": self.name, "role": self.role, "is_active": "on", "must_change_password": "on"}
        post(administrator(self.system), self.system, f"/admin/accounts/user/{pk}/change/", about)


def administrator(system: System) -> requests.Session:
    """The demo's administrator in a browser."""
    browser = requests.Session()
    post(browser, system, "/sign-in/", {"username": "admin", "password": system.password})
    return browser


def post(browser: requests.Session, system: System, path: str, form: dict[str, str]) -> None:
    """Send a form as the page at `path` has it, and see that it was taken."""
    page = browser.get(f"{system.url}{path}", timeout=20).text
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page
    answer = browser.post(
        f"{system.url}{path}", {**form, "csrfmiddlewaretoken": found[1]}, timeout=20, allow_redirects=False
    )
    assert answer.status_code == 302, answer.text


def person(system: System, role: str = "viewer") -> Person:
    made = Person(system, f"zoe-{uuid.uuid4().hex[:8]}", f"paint-otters-{uuid.uuid4().hex[:8]}", role)
    form = {"username": made.name, "role": role, "usable_password": "true"}
    form |= {"password1": made.password, "password2": made.password}
    post(administrator(system), system, "/admin/accounts/user/add/", form)
    return made
