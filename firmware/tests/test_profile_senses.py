"""Profiles that would do harm, or nothing, are refused; and one fault hides no other."""

import pytest

from firmware import profile
from firmware.language.summary import summary, warnings
from firmware.tests.whole_profile import GOOD, faults

STOPPED = "stopped = [{ tripped = true }]"
PHASE = 'phase = { from = [{ read = "state", path = "phase" }] }'
MOVES = 'confirm = [{ machine_state = "moving" }]'
HOME = '[commands.home]\nclass = "config"\npath = "/go"\nbody = { to = 5 }\nobservable = false\n'
WRONG = [
    (STOPPED, 'stopped = [{ machine_state = "unknown" }]', "stop.stopped", "no proof that it stands"),
    ('class = "motion"', 'class = "read"', "commands.go.class", "`read` only looks"),
    ('class = "motion"', 'class = "config"\n' + MOVES, "commands.go.class", "moves the robot, as its confirm says"),
    ("[commands.go]", HOME + "[commands.go]", "commands.home", "the same request as commands.go"),
    ('path = "/take"', 'path = "/go"\nbody = { to = 5 }', "setup.take", "the same request as commands.go"),
    ('path = "phase" }', 'path = "`3`" }', "fields.phase.from[0].path", "is a constant, and no reading"),
    ('path = "phase" }', 'path = "a[?n==\'x\'].v" }', "fields.phase.from[0].path", "take one of it: a[?n=='x'].v | [0]"),
    ('path = "phase" }', 'path = "a || `5`" }', "fields.phase.from[0].path", "may come to a constant"),
    ('path = "phase" }', 'path = "fist(a)" }', "fields.phase.from[0].path", "there is no function fist()"),
    ('path = "phase" }', 'path = "to_number()" }', "fields.phase.from[0].path", "to_number() takes 1 argument, not 0"),
    ('"/guard"', '"/guard"\ntaken_at = "t"\nclock = "t"', "reads.guard.clock", "the same as `taken_at`"),
    ('"/guard"', '"/guard"\nalive = "`1`"', "reads.guard.alive", "is a constant"),
    ("not_now = [409]", 'refused = "`true`"', "replies.refused", "is a constant"),
    ("not_now = [409]", "not_now = [200]", "replies.not_now", "200 is no refusal"),
    ('{ to = "$to" }', '"{\\"to\\": $to}"', "commands.go.body", "one quoted string"),
    ('path = "/go"', 'path = "/go"\nmethod = "GET"', "commands.go.body", "a GET carries no body"),
    (STOPPED, 'stopped = [{ phase = { near = "phase", tolerance = 1 } }]', "stop.stopped", "written with its $"),
    ("[auth]", '[auth]\nscheme = "Basic"', "auth.encode", 'say encode = "base64"'),
    ("[about]", '[transport.headers]\nCookie = "x"\n[about]', "transport.headers.Cookie", "not stand in a file"),
    ("[about]", '[settings.spare]\ntype = "text"\n[about]', "settings.spare", "is used nowhere"),
    ("params.to]", 'params.to]\nchoices = ["a"]', "commands.go.params.to.choices", 'say type = "text"'),
    ("tripped = {", "tripped = { minimum = 0,", "fields.tripped.minimum", "a flag has no range"),
    ("[stop]", '[stop]\nconfirm = []', "stop.confirm", "Did you mean `stopped`?"),
    ("phase = {", 'phase = { path = "x",', "fields.phase.path", "from = [{ read"),
    ('type = "flag"', 'type = "float"', "fields.tripped.type", "Did you mean number?"),
    ('class = "motion"', 'class = "move"', "commands.go.class", "Did you mean motion?"),
    ("[stop]", '[stop]\ntoken = "amdin"', "stop.token", "Did you mean 'admin'?"),
    ('class = "motion"', 'class = "stop"', "commands.go.params", "what ends a motion takes none"),
    ('path = "/take"', 'path = "/r"', "setup.take", "may be the same request as reset, which lets it out of its stop"),
    ("[commands.go]", HOME.replace('"/go"', '"/go?x=1"') + "[commands.go]", "commands.home", "the same request as commands.go"),
    ('value = "unknown" }]', 'value = "safe" }]', "fields.machine_state.rules[2].value", "whatever nobody has foreseen"),
    ('"/guard"', '"/guard"\nlive_for_s = 3600', "reads.guard.live_for_s", "the machine state rests on it; at most 20 s"),
    ('"/guard"', '"/guard"\nevery_s = 600', "reads.guard.every_s", "at most 10 s"),
    ('"/guard"', '"/guard"\ntaken_at = "`5`"', "reads.guard.taken_at", "is a constant"),
    ("$values", "$value", "config.drive.write", "says $value and not of what"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "key", "reason"), WRONG, ids=[f"{row[2]} {row[3]}"[:60] for row in WRONG])
def test_what_would_do_harm_or_nothing_is_refused(right: str, wrong: str, key: str, reason: str) -> None:
    assert GOOD.count(right) == 1
    stop = 'stopped = [{ machine_state = "safe" }]'
    text = GOOD.replace(STOPPED, stop) if "foreseen" in reason else GOOD
    text = f'{text}[reset]\npath = "/r"\n' if "which lets it out" in reason else text
    found = faults(text.replace(right, wrong))
    assert [one for one in found if one.key == key and reason in one.reason], [str(one) for one in found]


def test_a_condition_that_holds_for_every_value_is_refused() -> None:
    text = GOOD.replace(PHASE, PHASE.replace("{ from", "{ minimum = 0, maximum = 9, from"))
    (fault,) = faults(text.replace(STOPPED, "stopped = [{ phase = { near = 5, tolerance = 5 } }]"))
    assert fault.key == "stop.stopped" and "most of the values that phase can have" in fault.reason


TEXTS = {
    "other values": ('"G1 A$to"', '"G1 A9 F10"'),
    "other letters": ('"G1 A$to"', '"g1 a9"'),
    "both open": ('"G1 $to"', '"G1 $key$value"'),
}


@pytest.mark.parametrize(("moves", "other"), TEXTS.values(), ids=TEXTS)
def test_a_text_that_moves_the_robot_is_known_under_another_name(moves: str, other: str) -> None:
    text = GOOD.replace('{ to = "$to" }', f'{moves}\nencode = "text"')
    drive = f'[config.pose]\npath = "/p"\nsettings.A = {{ path = "a" }}\n[config.pose.write]\npath = "/go"\nbody = {other}\n'
    told = [one for one in faults(f'{text}{drive}encode = "text"\n') if one.key == "config.pose.write"]
    assert any("may be the same request as commands.go" in one.reason for one in told)


def test_an_integer_is_sent_as_one() -> None:
    from firmware import parameters

    spec, _ = profile.examine(
        GOOD.replace("params.to]", 'params.to]\ntype = "text"\nchoices = ["up"]\nsent = { up = 1 }')
    )
    assert spec is not None
    sent = parameters.sent(spec.commands["go"].params, {"to": "up"})["to"]
    assert (sent, type(sent)) == (1, int)


def test_what_goes_out_by_itself_is_told_with_its_condition() -> None:
    spec, _ = profile.examine(GOOD)
    assert spec is not None
    told = "\n".join(summary(spec))
    assert "while phase = 0, at most every" in told and "Near(" not in told


def test_a_stop_without_the_credential_that_commands_have_is_thought_about() -> None:
    text = GOOD.replace('path = "/go"', 'path = "/go"\ntoken = "admin"')
    spec, found = profile.examine(text)
    assert spec is not None and not found
    assert any(line.startswith("stop.token: none") for line in warnings(spec))


def test_a_fault_of_structure_hides_nothing_in_its_own_part() -> None:
    """A class that is none, a table that is misspelt: what stands beside it is looked at all the same."""
    text = GOOD.replace('class = "motion"', 'class = "fly"').replace("params.to]", 'params.to]\nexample = "far"')
    assert {"commands.go.class", "commands.go.params.to.example"} <= {fault.key for fault in faults(text)}
    text = GOOD.replace("[stop]", "[Stop]").replace("{ phase = 1 }", "{ phaes = 1 }")
    assert {"Stop", "stop", "fields.machine_state.rules[1].when"} <= {fault.key for fault in faults(text)}


def test_wrong_names_of_credentials_spoil_nothing_that_uses_them() -> None:
    text = GOOD.replace("[stop]", '[stop]\ntoken = "admin"').replace('tokens = ["admin"]', 'tokens = "admin"')
    assert [fault.key for fault in faults(text)] == ["auth.tokens"]


def test_a_table_under_a_wrong_name_is_told_on_its_line() -> None:
    (fault,) = (one for one in faults(GOOD + "[field.extra]\nunit = 'm'\n") if one.key == "field")
    assert fault.line == len(GOOD.splitlines()) + 1 and "Did you mean `fields`?" in fault.reason


@pytest.mark.parametrize(("text", "words"), [
    ("a = 1\na = 2\n[about]", "a key is given twice"),
    ("[about]\ntitle = A robot\n", "text stands in quotes"),
])  # fmt: skip
def test_what_is_no_toml_is_told_in_words(text: str, words: str) -> None:
    (fault,) = faults(text)
    assert words in fault.reason


def test_a_mapped_text_may_read_unknown() -> None:
    text = GOOD.replace("phase = {", 'phase = { type = "text", map = { a = "b" },')
    text = text.replace("{ phase = 1 }", '{ phase = "unknown" }').replace("{ phase = 0 }", '{ phase = "b" }')
    assert faults(text) == []


def test_what_stands_within_a_text_must_be_given() -> None:
    text = GOOD.replace("params.to]", "params.to]\nrequired = false").replace('{ to = "$to" }', '"G0 X$to"')
    assert [(fault.key, "or have a default" in fault.reason) for fault in faults(text)] == [
        ("commands.go.params.to", True)
    ]
