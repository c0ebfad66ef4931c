"""Asks every address, with every method that it takes, as everybody; and every topic of the sockets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import journal, permissions
from accounts.models import ApiToken, Role, SignIn, User
from firmware.models import Command, CommandStatus, Robot, RobotGroup, Sequence, Site, Transition

EVERYBODY = ("stranger", "guest", "viewer", "operator", "engineer", "admin", "auditor", "viewer, operator here")
TOPICS = ("robot.oht-01", "fleet", "monitoring", "alerts", "journal", "tile.oht-01", "alert.oht-01", "robot.nowhere")
client = Client(raise_request_exception=False)  # one: it loads its middleware once
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
# What talks to the robot does its work in other threads, which must see what is in the database; it changes nobody's rights.
TALKS_TO_THE_ROBOT = re.compile(r"/(stop|modules|lidar|config|probe|test|release|hold)\b")
SIGN_IN = ("/sign-in/", "/admin/login/")
Rows = dict[tuple[str, str], list[str]]  # (address, method) → one answer for each of EVERYBODY


@dataclass
class House:
    """Everybody, signed in, and one of everything that an address may name."""

    robot: Robot
    people: dict[str, User] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)  # name of an argument, or of a model in the admin → its value


def furnish(robot: Robot) -> House:
    """People with every role, one with a grant on `robot`, and rows for the addresses."""
    house = House(robot)
    for who in EVERYBODY[1:]:
        role, _, granted = who.partition(", ")
        person = User.objects.create(username=who.replace(", ", "-").replace(" ", "-"), password="!", role_id=role)
        if granted:
            given = Role.objects.get(name="operator")
            permissions.grant(robot, role=given, holder=person, by=None, reason="stands in")
        client.cookies.clear()
        client.force_login(person)
        house.people[who], house.cookies[who] = person, client.cookies[settings.SESSION_COOKIE_NAME].value
        house.tokens[who] = ApiToken.objects.create(person)[0].token_key
    house.samples = _samples(robot, User.objects.create(username="somebody", password="!"))
    return house


def _samples(robot: Robot, person: User) -> dict[str, Any]:
    now = timezone.now()
    command = Command.objects.create(
        robot=robot, name="move", kind="motion", status=CommandStatus.CONFIRMED, deadline_at=now, ended_at=now
    )
    sequence = Sequence.objects.create(robot=robot, steps=[], status="done", watched_until=now, ended_at=now)
    given = Role.objects.get(name="viewer")
    grant = permissions.grant(robot, role=given, holder=Group.objects.create(name="viewer"), by=None, reason="a sample")
    site = Site.objects.create(name="Hall 1")
    RobotGroup.objects.create(name="viewer")
    signed_in = SignIn.objects.create(user=person, session_key="somebody's")
    TOTPDevice.objects.create(user=person, name="a sample")
    StaticDevice.objects.create(user=person, name="a sample")
    row = journal.record("sample.made")
    Transition.objects.create(robot=robot, at=now, old="offline", new="online", reason="a sample")
    interval = IntervalSchedule.objects.create(every=10, period="seconds")
    PeriodicTask.objects.create(name="a sample", task="nothing", interval=interval)
    CrontabSchedule.objects.create()
    ClockedSchedule.objects.create(clocked_time=now)
    SolarSchedule.objects.create(event="sunrise", latitude=0, longitude=0)
    return {
        "slug": robot.slug,
        "address": "2",
        "register": "0x0030",
        "username": person.username,
        "name": "viewer",
        "content_type_id": "1",
        "url": "nowhere/",
        "app_label": "firmware",
        "api/v1/commands/": command.pk,
        "api/v1/sequences/": sequence.pk,
        "api/v1/sites/": site.pk,
        "api/v1/auth/sessions/": signed_in.pk,
        "grant": grant.pk,
        "api/v1/journal/": row.pk,
        "request_id": "nothing",
        "report": "operations",
        "uidb64": "MQ",
        "token": "nothing",
        "id": person.pk,
    }


def addresses(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every address of the resolver."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + re.sub(r"\(\?P(<\w+>)[^)]*\)|[\^$]", lambda found: found[1] or "", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        else:
            yield path, pattern


def taken(pattern: URLPattern) -> list[str]:
    """The methods that an address takes. A page or a form of the admin takes GET and POST."""
    kind = getattr(pattern.callback, "cls", None)
    if kind is None:
        return ["GET", "POST"]
    return [one for one in METHODS if hasattr(kind, one.lower()) and one.lower() in kind.http_method_names]


def filled(address: str, house: House, who: str) -> str:
    """The address with something in place of each argument. Raises KeyError for an argument that nobody has a sample for."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name == "token_key":
            return house.tokens.get(who, "nothing")
        if name == "object_id":
            return str(_first_row(address))
        if name == "pk":
            return str(next(pk for start, pk in house.samples.items() if "/" in start and address.startswith(start)))
        return str(house.samples[name])

    return "/" + ARGUMENT.sub(value, address)


def _first_row(address: str) -> Any:
    """The key of a row that a page of the admin may be about. Raises AttributeError where `_samples` makes none."""
    named = re.match(r"admin/(\w+)/(\w+)/", address)
    if named is None:
        return 1
    model: Any = apps.get_model(named[1], named[2])
    return model._default_manager.first().pk


def ask(house: House, who: str, method: str, path: str) -> str:
    """One request, and its answer in a word; what it changes is taken back."""
    client.cookies.clear()
    if who in house.cookies:
        client.cookies[settings.SESSION_COOKIE_NAME] = house.cookies[who]
    kind, body = ("application/json", "{}") if path.startswith("/api/") else ("application/x-www-form-urlencoded", "")

    def send() -> Any:
        return client.generic(method, path, body, content_type=kind)

    if TALKS_TO_THE_ROBOT.search(path):
        return word(send())
    with transaction.atomic():
        answer = send()
        transaction.set_rollback(True)
    return word(answer)


def word(answer: Any) -> str:
    """`yes` for whatever is no refusal: also a body that was no good, or a robot that cannot just now."""
    assert answer.status_code < 500 or answer.status_code == 503, answer.content[:500]
    if answer.status_code == 302 and answer["Location"].startswith(SIGN_IN):
        return "sign-in"
    if answer.status_code == 302 and answer["Location"].endswith("/change/"):
        return "change/"
    return str(answer.status_code) if answer.status_code in (401, 403, 404, 405) else "yes"


def everything(house: House) -> Rows:
    """Every address, method and person."""
    rows: Rows = {}
    for address, pattern in addresses():
        for method in taken(pattern):
            rows[address, method] = [ask(house, who, method, filled(address, house, who)) for who in EVERYBODY]
    return rows


def page(title: str, rows: Rows) -> list[str]:
    """A table in Markdown, addresses in their order."""
    lines = [f"## {title}", "", f"| address | method | {' | '.join(EVERYBODY)} |", "|---" * (len(EVERYBODY) + 2) + "|"]
    for (address, method), answers in sorted(rows.items(), key=lambda row: (row[0][0], METHODS.index(row[0][1]))):
        shown = ARGUMENT.sub(lambda found: f"{{{found[1]}}}", address)
        lines.append(f"| `/{shown}` | {method} | {' | '.join(answers)} |")
    return [*lines, ""]


def topics(answers: dict[str, dict[str, str]]) -> list[str]:
    """The table of the sockets: {topic: {who: answer}}."""
    lines = ["## Sockets", "", f"| topic | {' | '.join(EVERYBODY)} |", "|---" * (len(EVERYBODY) + 1) + "|"]
    lines += [f"| `{topic}` | {' | '.join(told[who] for who in EVERYBODY)} |" for topic, told in answers.items()]
    return [*lines, ""]
