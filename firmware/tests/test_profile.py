"""A wrong profile is refused with file, key and reason, so that whoever wrote it finds the place."""

import pytest

from firmware import profile
from firmware.errors import BadProfile

GOOD = """
[about]
title = "A robot"
[auth]
tokens = ["admin"]
[reads.state]
path = "/state"
[fields.machine_state]
type = "text"
from = [{ read = "state", path = "state" }]
map = { IDLE = "idle", RUN = "moving", STOP = "estopped" }
[fields.position_m]
from = [{ read = "state", path = "x" }]
[commands.move]
class = "motion"
path = "/move"
body = { to = "$to" }
confirm = [{ machine_state = "moving" }, { position_m = { near = "$to", tolerance = 0.1 } }]
[commands.move.params.to]
[stop]
path = "/stop"
token = "admin"
stopped = [{ machine_state = "estopped" }]
"""


def refusal(text: str) -> BadProfile:
    with pytest.raises(BadProfile) as caught:
        profile.parse(text, "robot.toml")
    assert caught.value.file == "robot.toml"
    assert str(caught.value).startswith("robot.toml: ")
    return caught.value


def test_the_profile_that_the_others_spoil_is_good() -> None:
    spec = profile.parse(GOOD, "robot.toml")
    assert spec.state_read == "state"
    assert spec.commands["move"].kind == "motion"


@pytest.mark.parametrize("name", profile.available())
def test_every_installed_profile_loads(name: str) -> None:
    assert profile.load(name).stop.stopped


@pytest.mark.parametrize("name", ["", "nope", "../oht50", "OHT50", "oht50.toml", "/etc/passwd", "oht50\0", "oht50\n"])
def test_a_profile_that_is_not_installed_is_not_looked_for_elsewhere(name: str) -> None:
    with pytest.raises(BadProfile, match=r"there is no such profile; installed are .*oht50"):
        profile.load(name)


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("[about]", "[about", "", "not TOML"),
        ('title = "A robot"', "", "about.title", "is missing"),
        ('title = "A robot"', "title = 5", "about.title", "must be text, not a whole number"),
        ('title = "A robot"', 'titel = "A robot"', "about.titel", "unknown key. Did you mean `title`?"),
        ("[about]", "[colour]\nx = 1\n[about]", "colour", "unknown key. Known here: about, auth, commands"),
        ('[reads.state]\npath = "/state"', "", "reads", "is missing"),
        ('path = "/state"', 'path = "state"', "reads.state.path", "must be a path from the root"),
        ('path = "/state"', 'path = "/a b"', "reads.state.path", "must be a path from the root"),
        ('path = "/state"', 'path = "/state"\nevery_s = 0', "reads.state.every_s", "greater than 0"),
        ('path = "/state"', 'path = "/state"\nevery_s = nan', "reads.state.every_s", "must be greater than 0"),
        ('path = "/state"', 'path = "/state"\ntoken = "boss"', "reads.state.token", "'boss' is not one of auth.tokens"),
        ('token = "admin"', 'token = "boss"', "stop.token", "'boss' is not one of auth.tokens (admin)"),
        ("machine_state]", "state]", "fields.machine_state", "is missing"),
        ('map = { IDLE = "idle", RUN = "moving", STOP = "estopped" }', "", "fields.machine_state.map", "must map"),
        ('IDLE = "idle"', 'IDLE = "idel"', "fields.machine_state.map.IDLE", "'idel' is not a machine state"),
        ('read = "state", path = "x"', 'read = "stat", path = "x"', "fields.position_m.from[0].read", "'stat'"),
        ('path = "x"', 'path = "x["', "fields.position_m.from[0].path", "not a JMESPath expression"),
        ('[{ read = "state", path = "x" }]', "[]", "fields.position_m.from", "names no source"),
        ("[about]", '[replies]\nrefused = "]"\n[about]', "replies.refused", "not a JMESPath expression"),
        ('class = "motion"', 'class = "fly"', "commands.move.class", "must be one of motion, stop, config, read"),
        ('class = "motion"\n', "", "commands.move.class", "is missing"),
        ('class = "motion"', 'class = "motion"\nstates = ["idel"]', "commands.move.states", "not a machine state"),
        (
            'class = "motion"',
            'class = "motion"\nmethod = "HEAD"',
            "commands.move.method",
            "must be one of POST, PUT, PATCH, DELETE, GET",
        ),
        ('to = "$to"', 'to = "$too"', "commands.move.body", "$too stands for nothing here; known: $to"),
        ('path = "/move"', 'path = "/move/$it"', "commands.move.path", "$it stands for nothing here"),
        ('near = "$to"', 'near = "$too"', "commands.move.confirm", "$too is not one of the command's params"),
        ("position_m = { near", "height_m = { near", "commands.move.confirm", "'height_m' is not one of fields"),
        (", tolerance = 0.1", "", "commands.move.confirm[1]", "lacks `tolerance`"),
        ("stopped = [{ machine_state", "stopped = [{ state", "stop.stopped", "'state' is not one of fields"),
        ('stopped = [{ machine_state = "estopped" }]', "stopped = []", "stop.stopped", "could never be confirmed"),
        ('stopped = [{ machine_state = "estopped" }]', "", "stop.stopped", "is missing"),
        ("[about]", "[transport]\nmax_unanswered = 1\n[about]", "transport.max_unanswered", "at least 2"),
        ("[about]", "[transport]\ntimeout_s = -1\n[about]", "transport.timeout_s", "greater than 0"),
        ("[about]", "[transport]\nmax_reply_bytes = 99999999\n[about]", "transport.max_reply_bytes", "at most 4194304"),
        ("[about]", '[transport]\ndrain = "no"\n[about]', "transport.drain", "must be true or false, not text"),
    ],
)
def test_a_wrong_profile_is_refused_with_file_key_and_reason(old: str, new: str, key: str, reason: str) -> None:
    assert GOOD.count(old) >= 1
    error = refusal(GOOD.replace(old, new, 1))
    assert error.key == key
    assert reason in error.reason


def test_a_motion_command_must_say_what_confirms_it() -> None:
    start, end = GOOD.index("confirm ="), GOOD.index("[commands.move.params")
    assert refusal(GOOD[:start] + GOOD[end:]).key == "commands.move.confirm"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('tokens = ["admin"]', 'tokens = ["admin"]\nread_token = "boss"', "auth.read_token"),
        ("[commands.move.params.to]", '[commands.move.params.to]\ndefault = "fast"', "commands.move.params.to.default"),
        ("[commands.move.params.to]", "[commands.move.params.to]\nminimum = 5\nmaximum = 1", "commands.move.params.to"),
        ('[{ machine_state = "moving" }', '[{ machine_state = "movign" }', "commands.move.confirm"),
        ('[{ machine_state = "estopped" }]', '[{ machine_state = "stoped" }]', "stop.stopped"),
        ("tolerance = 0.1", "tolerance = nan", "commands.move.confirm[1].position_m.tolerance"),
    ],
)
def test_what_could_never_hold_is_refused(old: str, new: str, key: str) -> None:
    assert GOOD.count(old) >= 1
    assert refusal(GOOD.replace(old, new, 1)).key == key
