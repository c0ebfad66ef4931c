"""What the profile language finds in replies of many kinds, how old it is, and what follows from it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import conditions, profile, recorder, state
from firmware.client import Observation, RobotClient
from firmware.clients import client_for as client_of
from firmware.errors import BadReply, FirmwareError, NotNow, Rejected
from firmware.language.kind import Profile
from firmware.models import Robot, RobotState
from firmware.signing import bound
from firmware.tests.conftest import ScriptedRobot, http
from robotctl.tests.system import register

Scripted = Callable[..., ScriptedRobot]
Telling = Callable[..., tuple[ScriptedRobot, dict[str, Any]]]
LANGUAGE = """
about = {{ title = "A robot" }}
stop = {{ path = "/stop", stopped = [{{ machine_state = "estopped" }}] }}
[reads.state]
path = "/state"
{read}
[fields.machine_state]
type = "text"
from = [{{ read = "state", path = "st" }}]
map = {{ IDLE = "idle", RUN = "moving", STOP = "estopped", 1 = "idle", 2 = "moving", true = "fault" }}
{more}
"""


def kind_text(read: str = "", more: str = "") -> str:
    return LANGUAGE.format(read=read, more=more)


def kind(read: str = "", more: str = "") -> Profile:
    return profile.parse(kind_text(read, more), "x.toml")


def client(url: str, spec: Profile, **given: Any) -> RobotClient:
    return RobotClient(slug="x", base_url=url, profile=bound(spec, given), credentials={})


def said(value: Any, status: str = "200 OK") -> bytes:
    return http(msgspec.json.encode(value), status)


@pytest.fixture
def telling(scripted: Scripted) -> Telling:
    """`telling(**paths)`: a robot, and what it says at each path, to be changed by the test."""

    def make(**paths: Any) -> tuple[ScriptedRobot, dict[str, Any]]:
        def answer(sock: Any) -> None:
            sock.sendall(said(paths[robot.requests[-1].split(b" ")[1].decode().strip("/")]))

        robot = scripted(answer)
        return robot, paths

    return make


POSITION = '[fields.position_m]\nunit = "m"\nfrom = [{ read = "state", path = "x", scale = 0.001 }]'


@pytest.mark.parametrize("reply", [b"HTTP/1.1 204 No Content\r\n\r\n", http(b""), http(b" \r\n")])
def test_an_empty_reply_stands_for_what_the_profile_says_it_means(reply: bytes, scripted: Scripted) -> None:
    one = client(scripted(reply).url, kind('empty = { st = "IDLE" }'))
    assert one.read("state").values == {"machine_state": "idle"}
    with pytest.raises(BadReply):
        client(scripted(reply).url, kind()).read("state")
    with pytest.raises(Rejected):
        client(scripted(http(b"", "403 Forbidden")).url, kind('empty = { st = "IDLE" }')).read("state")


def test_an_accepted_error_status_is_read_and_any_other_is_a_refusal(scripted: Scripted) -> None:
    replies_ = [said({"st": "RUN"}, "409 Conflict"), said({"st": "RUN"}, "423 Locked"), http(b"", "409 Conflict")]
    one = client(scripted(*replies_).url, kind("accept = [409]"))
    assert one.read("state").values == {"machine_state": "moving"}
    for _ in range(2):  # the last has nothing in it that could be read
        with pytest.raises(NotNow):
            one.read("state")


def test_a_read_may_be_a_post_with_a_body(scripted: Scripted) -> None:
    robot = scripted(said({"st": "IDLE"}))
    spec = kind('method = "POST"\nbody = { ask = ["st", 1], unit = "$unit" }', '[settings.unit]\ntype = "text"')
    assert client(robot.url, spec, unit="u-7").read("state").values == {"machine_state": "idle"}
    head, _, body = robot.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /state HTTP/1.1\r\n")
    assert msgspec.json.decode(body) == {"ask": ["st", 1], "unit": "u-7"}


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


WRITTEN = {
    "s": lambda at: at, "ms": lambda at: int(at * 1e3), "µs": lambda at: int(at * 1e6), "ISO": iso,
    "Z": lambda at: iso(at).replace("+00:00", "Z"), "no zone is UTC": lambda at: iso(at).removesuffix("+00:00"),
}  # fmt: skip


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("behind_s", [0.0, -90.0, 90.0])
def test_age_is_told_in_any_unit_and_by_the_robots_own_clock_however_wrong_it_is(
    write: Callable[[float], Any], behind_s: float, scripted: Scripted
) -> None:
    now = time.time()
    its_now = now - behind_s
    reply = {"st": "IDLE", "time": write(its_now - 7), "now": write(its_now)}
    seen = client(scripted(said(reply)).url, kind('taken_at = "time"\nclock = "now"')).read("state")
    assert seen.values == {"machine_state": "idle"}
    assert seen.began_at == pytest.approx(now - 7, abs=0.5)


@pytest.mark.parametrize("clock", [None, "later", True, 1e300])
def test_without_the_clock_that_tells_it_no_age_is_known_and_nothing_counts(clock: Any, scripted: Scripted) -> None:
    reply = {"st": "IDLE", "time": time.time(), "now": clock}
    assert client(scripted(said(reply)).url, kind('taken_at = "time"\nclock = "now"')).read("state").values == {}


ALIVE = 'alive = "beat"\nfrozen_after_s = 0.3'


@pytest.mark.django_db(transaction=True)
def test_a_frozen_robot_is_there_but_its_values_grow_old_and_its_link_says_so(telling: Telling) -> None:
    robot, paths = telling(state={"st": "RUN", "beat": 7, "x": 1000})
    record = registered("frozen-kind", robot, kind_text(ALIVE, POSITION))
    for beat in range(3):
        paths["state"]["beat"] = beat
        poll(record)
    before = document(record)
    assert (before["mode"], before["link"]["last_error"]) == ("online", None)
    time.sleep(0.4)
    paths["state"] |= {"st": "IDLE", "x": 2000}  # it says so, but nothing that it says is fresh
    poll(record)
    poll(record)
    seen = document(record)
    assert (seen["link"]["last_error_code"], seen["link"]["failures"]) == ("frozen", 2)
    assert seen["link"]["breaker"]["state"] == "closed"
    assert "beat has not changed for" in seen["link"]["last_error"]
    assert seen["mode"] == "degraded"
    assert seen["link"]["last_contact_at"] > before["link"]["last_contact_at"]
    for name in ("value", "observed_at"):
        assert seen["machine_state"][name] == before["machine_state"][name]
        assert seen["readings"]["position_m"][name] == before["readings"]["position_m"][name]
    assert seen["machine_state"]["age_s"] >= before["machine_state"]["age_s"] + 0.4
    later = document(record, after_s=5)
    assert later["machine_state"]["quality"] == later["readings"]["position_m"]["quality"] == "stale"
    paths["state"]["beat"] = 99
    for _ in range(3):
        poll(record)
    seen = document(record)
    assert (seen["mode"], seen["link"]["last_error_code"]) == ("online", None)
    assert (seen["machine_state"]["value"], seen["readings"]["position_m"]["value"]) == ("idle", 2.0)


@pytest.mark.django_db(transaction=True)
def test_once_it_is_known_to_be_frozen_its_values_are_as_old_as_its_last_beat(telling: Telling) -> None:
    robot, _ = telling(state={"st": "RUN", "beat": 7, "x": 1000})
    record = registered("freezing-kind", robot, kind_text(ALIVE, POSITION))
    poll(record)
    last_beat = document(record)["machine_state"]["observed_at"]
    time.sleep(0.2)
    poll(record)  # not yet known: it counts as read now
    assert document(record)["machine_state"]["observed_at"] > last_beat
    time.sleep(0.2)
    poll(record)
    seen = document(record)
    assert seen["link"]["last_error_code"] == "frozen"
    assert seen["machine_state"]["observed_at"] == seen["readings"]["position_m"]["observed_at"] == last_beat


def test_a_heartbeat_that_is_missing_tells_no_more_than_one_that_stands_still(telling: Telling) -> None:
    robot, paths = telling(state={"st": "RUN"})
    one = client(robot.url, kind(ALIVE))
    assert one.read("state", polling=True).values == {"machine_state": "moving"}
    time.sleep(0.4)
    with pytest.raises(FirmwareError, match="beat has been missing for"):
        one.read("state", polling=True)
    paths["state"]["beat"] = 1
    assert one.read("state", polling=True).values == {"machine_state": "moving"}


UNITS = """[settings]
unit = { type = "text" }
rail = { type = "integer" }
[reads.all]
path = "/rails/$rail/units/$unit/all?of=$rail"
[fields.phase]
from = [{ read = "all", path = "units[?id=='$unit'] | [?to_string(rail)=='$rail'] | [0].phase" }]
"""


def test_settings_of_a_robot_stand_in_its_paths_and_expressions(scripted: Scripted) -> None:
    units = [{"id": "b", "rail": 3, "phase": 1}, {"id": "a.1", "rail": 3, "phase": 2}, {"id": "a.1", "rail": 4}]
    robot, spec = scripted(said({"units": units})), kind("", UNITS)
    assert client(robot.url, spec, unit="a.1", rail=3).read("all").values == {"phase": 2.0}
    assert client(robot.url, spec, unit="b", rail=3).read("all").values == {"phase": 1.0}
    assert robot.requests[0].startswith(b"GET /rails/3/units/a.1/all?of=3 HTTP/1.1\r\n")
    assert spec.reads["all"].path == "/rails/$rail/units/$unit/all?of=$rail"  # the kind itself stays as it is


def test_a_whole_number_in_a_path_has_no_point(scripted: Scripted) -> None:
    robot, spec = scripted(said({"units": []})), kind("", UNITS.replace('"integer"', '"number"'))
    client(robot.url, spec, unit="b", rail=3.0).read("all")
    assert robot.requests[0].startswith(b"GET /rails/3/units/b/all?of=3 HTTP/1.1\r\n")


RULES = """
about = { title = "A robot" }
stop = { path = "/stop", stopped = [{ machine_state = "estopped" }] }
[reads]
state = { path = "/state", taken_at = "time" }
guard = { path = "/guard" }
[fields]
phase = { from = [{ read = "state", path = "phase" }] }
tripped = { type = "flag", from = [{ read = "guard", path = "tripped" }] }
[fields.machine_state]
type = "text"
rules = [
    { when = { tripped = true }, value = "estopped" },
    { when = { phase = 1 }, value = "idle" },
    { when = {}, value = "moving" },
]
"""


@pytest.mark.parametrize(("values", "expected"), [
    ({"phase": [1.0, 100.0], "tripped": [True, 50.0]}, ("estopped", 50.0)),  # phase was not asked
    ({"phase": [1.0, 100.0], "tripped": [False, 50.0]}, ("idle", 50.0)),
    ({"phase": [1.0, 40.0], "tripped": [False, 50.0]}, ("idle", 40.0)),
    ({"phase": [2.0, 40.0], "tripped": [False, 50.0]}, ("moving", 40.0)),
    ({"tripped": [True, 50.0]}, ("estopped", 50.0)),
    ({"tripped": [False, 50.0]}, None),  # the phase is not known: neither idle nor moving
    ({"phase": [1.0, 100.0]}, None),  # it may be stopped
    ({}, None),
])  # fmt: skip
def test_what_follows_is_as_old_as_the_oldest_it_rests_on_and_needs_it_all(values: Any, expected: Any) -> None:
    assert conditions.derived(profile.parse(RULES, "x"), values).get("machine_state") == expected


@pytest.mark.django_db(transaction=True)
def test_a_state_that_follows_from_two_reads_is_known_once_both_are_and_shown_with_its_age(telling: Telling) -> None:
    robot, _ = telling(state={"phase": 1, "time": time.time() - 30}, guard={"tripped": False})
    record = registered("rules-kind", robot, RULES)
    one = client_of(record)
    recorder.record([recorder.Contact.seen(record.pk, one.read("state"))])
    assert document(record)["machine_state"]["quality"] == "never"
    recorder.record([recorder.Contact.seen(record.pk, one.read("guard"))])
    machine = document(record)["machine_state"]
    assert (machine["value"], machine["quality"]) == ("idle", "stale")
    assert machine["age_s"] == pytest.approx(30, abs=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("before", "after", "apart_s", "restarted"), [
    (10.0, 50.0, 60.0, True),  # more than before, but less than time has passed: it was away in between
    (10.0, 0.5, 5.0, True),
    (10.0, 70.0, 60.0, False),
    (10.0, 68.0, 60.0, False),  # rounded
    (5000.0, 8550.0, 3600.0, False),  # its clock is a little slow
    (5000.0, 3599.0, 3600.0, True),
])  # fmt: skip
def test_a_restart_between_two_polls_is_seen_in_an_uptime_that_grew_less_than_time(
    before: float, after: float, apart_s: float, restarted: bool, telling: Telling
) -> None:
    robot, _ = telling()
    more = '[fields.up_s]\nunit = "s"\nuptime = true\nfrom = [{ read = "state", path = "up" }]'
    record = registered("uptime-kind", robot, kind_text("", more))
    now = time.time()
    for uptime_s, at in ((before, now - apart_s), (after, now)):
        observation = Observation("state", {"up_s": uptime_s, "machine_state": "idle"}, at, at + 0.01)
        recorder.record([recorder.Contact.seen(record.pk, observation)])
    assert JournalEntry.objects.filter(verb="robot.restarted", robot="x-1").exists() is restarted
    assert (document(record)["link"]["restarted_at"] is not None) is restarted


def registered(name: str, robot: ScriptedRobot, text: str) -> Robot:
    folder = Path(settings.ENV.var) / "profiles"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(text)
    made: Robot = register("x-1", robot.url, profile=name)
    return made


def poll(robot: Robot) -> None:
    """Read its state once, as the poll process does."""
    try:
        contact = recorder.Contact.seen(robot.pk, client_of(robot).read("state", polling=True))
    except FirmwareError as error:
        contact = recorder.Contact.failed(robot.pk, timezone.now(), "state", error)
    recorder.record([contact])


def document(robot: Robot, after_s: float = 0.0) -> dict[str, Any]:
    row = RobotState.objects.select_related("robot__site").get(robot=robot)
    return state.document(row.robot, row, timezone.now() + timedelta(seconds=after_s))
