"""What is wrong with a profile is told by key, line, reason and an example that leads to the mend."""

import pytest

from firmware import profile
from firmware.errors import BadProfile
from firmware.tests.whole_profile import GOOD, MACHINE, faults


def test_all_that_is_wrong_is_told_at_once_on_its_line() -> None:
    spoilt = {
        'title = "A robot"': "title = 5",
        'path = "/guard"': 'path = "guard"',
        'type = "flag"': 'type = "flagg"',
        'class = "motion"': 'clas = "motion"',
        'distances = "cm"': "distances = 7",
        'method = "PATCH"': 'method = "BREW"',
        'address = "key"': "",
    }
    text = GOOD
    assert faults(text) == []
    for right, wrong in spoilt.items():
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    lines = text.splitlines()
    told = {fault.key: lines[(fault.line or 0) - 1] for fault in faults(text)}
    assert told == {
        "about.title": "title = 5",
        "reads.guard.path": 'path = "guard"',
        "fields.tripped.type": 'tripped = { type = "flagg", from = [{ read = "guard", path = "tripped" }] }',
        "commands.go.clas": 'clas = "motion"',
        "commands.go.class": "[commands.go]",  # it is missing: the table that should have it
        "registers.address": "[registers]",
        "lidar.distances": "distances = 7",
        "config.drive.write.method": 'method = "BREW"',
    }


def test_what_does_not_hold_together_is_told_at_once_too() -> None:
    text = GOOD.replace('"phase" }', '"phase[" }').replace('id = "job"', 'id = "]"').replace("$job", "$jobb")
    lines = text.splitlines()
    found = {(fault.key, lines[(fault.line or 0) - 1]) for fault in faults(text)}
    assert {
        ("fields.phase.from[0].path", 'phase = { from = [{ read = "state", path = "phase[" }] }'),
        ("commands.go.job.id", 'id = "]"'),
        ("commands.go.job.path", 'path = "/jobs/$jobb"'),
    } <= found


def test_the_line_of_a_file_that_is_no_toml_is_told() -> None:
    (fault,) = faults('[about]\ntitle = "A robot"\ntitle = "Again"\nx = [\n')
    assert (fault.key, fault.line) == ("", 3)


def test_the_second_of_several_tables_is_told_on_its_own_line() -> None:
    rules = '[[fields.machine_state.rules]]\nwhen = { phase = 1 }\nvalue = "idle"\n'
    otherwise = '[[fields.machine_state.rules]]\nwhen = {}\nvalue = "unknown"\n'
    text = GOOD.replace(MACHINE, rules + rules.replace("idle", "idel") + otherwise)
    (fault,) = faults(text)
    assert fault.key == "fields.machine_state.rules[1].value"
    assert fault.line == text.splitlines().index('value = "idel"') + 1


def test_what_is_wrong_in_structure_hides_no_contradiction_in_the_rest() -> None:
    spoilt = GOOD.replace('title = "A robot"', "title = 5").replace("{ phase = 1 }", "{ phaes = 1 }")
    spoilt = spoilt.replace('path = "/fan"', 'path = "fan"').replace('"$value"', '"$valeu"')
    told = [fault.key for fault in faults(spoilt)]
    assert told == [
        "about.title",
        "lidar.path",
        "fields.machine_state.rules[1].when",
        "registers.write",
        "registers.write.body",
    ]


def test_a_fault_that_only_follows_from_another_is_not_told_beside_it() -> None:
    (fault,) = faults(GOOD.replace('path = "/guard"', "path = 5"))
    assert fault.key == "reads.guard.path"
    told = [fault.key for fault in faults(GOOD.replace("[reads.guard]", "[reads.gaurd]").replace('"/guard"', "7"))]
    assert told == ["reads.gaurd.path", "fields.tripped.from[0].read"]


UNMENDABLE = {
    "list": ('from = [{ read = "state", path = "phase" }]', "from = [5, 6]"),
    "zones": ('path = "/fan"', 'path = "/fan"\nzones = [1, 2]'),
    "choice": ("stopped = [{ tripped = true }]", 'stopped = [{ phase = { near = 5, tolerance = "a" } }]'),
}


@pytest.mark.parametrize(("right", "wrong"), UNMENDABLE.values(), ids=UNMENDABLE)
def test_a_file_that_no_example_mends_is_refused_and_crashes_nobody(right: str, wrong: str) -> None:
    assert faults(GOOD.replace(right, wrong))
    with pytest.raises(BadProfile):
        profile.parse(GOOD.replace(right, wrong), "x.toml")


SPOILT = [
    ('path = "/guard"', "", "reads.guard.path"),
    ('title = "A robot"', "", "about.title"),
    ('state = "stage"', "", "commands.go.job.state"),
    ('done = ["done"]', 'done = "done"', "commands.go.job.done"),
    ('list = "parts"', "", "modules.list"),
    ("not_now = [409]", 'not_now = "409"', "replies.not_now"),
    ('distances = "cm"', "distances = 5", "lidar.distances"),
    ("not_now = [409]", "not_now = [409, 4]", "replies.not_now[1]"),
]


@pytest.mark.parametrize(("right", "wrong", "key"), SPOILT, ids=[key for *_, key in SPOILT])
def test_the_example_that_is_told_is_right_where_it_is_pasted(right: str, wrong: str, key: str) -> None:
    assert GOOD.count(right) == 1
    (fault,) = faults(GOOD.replace(right, wrong))
    assert (fault.key, fault.example is not None) == (key, True)
    assert [one.key for one in faults(GOOD.replace(right, str(fault.example)))] == []


def test_no_example_is_told_that_does_not_fit() -> None:
    (fault,) = faults(GOOD.replace("tripped = true }, value", "tripped = true }, valeu = 1, value"))
    assert fault.example is None
    text = GOOD.replace(MACHINE, 'from = [{ read = "state", path = "st" }]\nmap = { a = "idel" }\n')
    (fault,) = faults(text)
    assert (fault.key, fault.example) == ("fields.machine_state.map.a", 'map = { "3" = "moving" }')


WRONG = [
    ('type = "text"\n[replies]', 'type = "texts"\n[replies]', "settings.unit.type", "must be one of number, integer, text, flag"),
    ('type = "text"\n[replies]', 'type = "text"\ndefault = 5\n[replies]', "settings.unit.default", "Must be text"),
    ("[settings.unit]", "[settings.job]\n[settings.unit]", "settings.job", "stands for something else already"),
    ("/units/$unit/state", "/units/$unti/state", "reads.state.path", "$unti stands for nothing here"),
    ('{ unit = "$unit" }', '{ unit = "$unti" }', "stop.body", "$unti stands for nothing here"),
    ('"phase" }', '"a[?id==\'$unti\'].phase" }', "fields.phase.from[0].path", "$unti stands for nothing here"),
    ("not_now = [409]", "not_now = [409, 404]", "replies.not_found", "404 is in replies.not_now, too"),
    ("not_now = [409]", "unreachable = [503]", "replies.unreachable", "503 is in replies.not_now, too"),
    ("not_now = [409]", 'message = "a ||"', "replies.message", "not a JMESPath expression"),
    ("[about]", '[replies.words]\nx = 1\n[about]', "replies.words", "unknown key. Known here: in_doubt, message"),
    ('"/guard"', '"/guard"\nabsent = [404]\naccept = [404]', "reads.guard.absent", "404 is in `accept`, too"),
    ('"/guard"', '"/guard"\npattern = "(?P<x>"', "reads.guard.pattern", "not a regular expression"),
    ('"/guard"', '"/guard"\npattern = "st=(.*)"', "reads.guard.pattern", "names no group"),
    ('"/guard"', '"/guard"\nalive = "["', "reads.guard.alive", "not a JMESPath expression"),
    ('"/guard"', '"/guard"\nmethod = "PUT"', "reads.guard.method", "must be one of GET, POST"),
    ('path = "phase" }', 'path = "phase", bit = 64 }', "fields.phase.from[0].bit", "at most 63"),
    ("{ phase = 1 }", "{ phaes = 1 }", "fields.machine_state.rules[1].when", "'phaes' is not one of fields"),
    ("{ phase = 1 }", '{ machine_state = "idle" }', "fields.machine_state.rules[1].when", "follows from other fields"),
    ('value = "idle"', 'value = "idel"', "fields.machine_state.rules[1].value", "'idel' is not a machine state"),
    ("rules = [{ when = { tripped = true }, value", "rules = [{ value", "fields.machine_state.rules[0].when", "is missing"),
    (MACHINE, "\nrules = [{ when = {}, value = \"idle\" }]\n", "fields.machine_state.rules", "rests on no field"),
    (', { when = {}, value = "unknown" }]', "]", "fields.machine_state.rules", "must say what it is otherwise"),
    ("[stop]", '[stop]\ntoken = "boss"', "stop.token", "'boss' is not one of auth.tokens (admin)"),
    ("[auth]", '[auth]\ntemplate = "key=$secret"', "auth.template", "must say where the token goes: $token"),
    ("[auth]", '[auth]\nencode = "rot13"', "auth.encode", "must be one of plain, base64"),
    ('title = "take control"\n', "", "setup.take.title", "is missing"),
    ("when = [{ phase = 0 }]", "when = [{ phas = 0 }]", "setup.take.when", "'phas' is not one of fields"),
    ('path = "/take"', 'path = "/take/$who"', "setup.take.path", "$who stands for nothing here"),
    ("[commands.go]", '[commands.stop]\nclass = "stop"\npath = "/x"\n[commands.go]', "commands.stop", "a table of its own: [stop]"),
    ("$job", "it", "commands.go.job.path", "must say where the job's name goes: $job"),
    ("$job", "$job/$unti", "commands.go.job.path", "$unti"),
    ('state = "stage"', 'state = "["', "commands.go.job.state", "not a JMESPath expression"),
    ('failed = ["failed"]\n', "", "commands.go.job.failed", "is missing"),
    ('done = ["done"]', 'done = ["done"]\ntoken = "boss"', "commands.go.job.token", "'boss' is not one of auth.tokens"),
    ("params.to]", 'params.to]\ntype = "text"\nchoices = ["a"]\nsent = { b = 1 }', "commands.go.params.to.sent", "'a' is sent as"),
    ("[commands.go.params.to]", "[commands.go.params.unit]\n[commands.go.params.to]", "commands.go.params.unit", "settings"),
    ('address = "no"', 'address = "["', "modules.address", "not a JMESPath expression"),
    ('"/parts"', '"/parts/$no"', "modules.path", "$no"),
    ('path = "/parts/$module"', 'path = "/parts/$no"', "modules.details.more.path", "$no stands for nothing here"),
    ('path = "heat"', 'path = "heat["', "modules.details.more.fields.heat.path", "not a JMESPath expression"),
    ("/parts/$module/cells\"", '/cells"', "registers.path", "must say where $module goes"),
    ('"$value"', '"$valeu"', "registers.write", "must say where $value goes"),
    ('unit = "V"', "unit = 5", "registers.known.2.0x10.unit", "must be text, not a whole number"),
    ('path = "/fan"', "", "lidar.path", "is missing"),
    ('distances = "cm"', "", "lidar", "must say where the scan is: `points` or `distances`"),
    ('distances = "cm"', 'distances = "cm"\nstep_deg = "["', "lidar.step_deg", "not a JMESPath expression"),
    ('distances = "cm"', 'distances = "cm"\nzones = [{ title = "x" }]', "lidar.zones[0].radius_mm", "is missing"),
    ('"/fan"', '"/fan/$side"', "lidar.path", "$side"),
    ('"$values"', '"$all"', "config.drive.write", "must say where $values goes"),
    ('path = "top"', 'path = "top", minimum = 5, maximum = 1', "config.drive.settings.top.minimum", "at least 5"),
    ('path = "top"', 'path = "["', "config.drive.settings.top.path", "not a JMESPath expression"),
    ('path = "top"', 'path = "top", writeable = true', "config.drive.settings.top.writeable", "Did you mean `writable`?"),
    ("[about]", '[transport.headers]\nX-A = "a\\r\\nX-B: b"\n[about]', "transport.headers.X-A", "such as a line break"),
    ("[about]", '[transport.headers]\n"X A" = "a"\n[about]', "transport.headers.X A", "not the name of a header"),
    ("[auth]", '[auth]\nheader = "X:Key"', "auth.header", "not the name of a header"),
    ('tokens = ["admin"]', 'tokens = ["admin", "admin"]', "auth.tokens", "'admin' is named 2 times"),
    ('"/guard"', '"//guard"', "reads.guard.path", "no host"),
    ('"/guard"', '"/guard#x"', "reads.guard.path", "no `#`"),
    ('"/guard"', '"/gu\\tard"', "reads.guard.path", "no spaces"),
    ('"/jobs/$job"', '"//jobs/$job"', "commands.go.job.path", "no host"),
    ("phase = {", "phase = { minimum = nan,", "fields.phase.minimum", "must be a number; nan is none"),
    ("phase = {", "phase = { maximum = inf,", "fields.phase.maximum", "must be a number; inf is none"),
    ('path = "phase" }', 'path = "phase", scale = 0 }', "fields.phase.from[0].scale", "other than 0"),
    ('"phase" }] }', '"phase" }], map = { a = "b" } }', "fields.machine_state.rules[1].when", "'phase' never reads 1"),
    ('"tripped" }] }', '"tripped" }], map = { y = "yes" } }', "fields.tripped.map", 'a flag is "true" or "false"'),
    ("stopped = [{ tripped = true }]", 'stopped = [{ tripped = "true" }]', "stop.stopped", "is a flag; say true or false"),
    ("stopped = [{ tripped = true }]", 'stopped = [{ machine_state = "safe" }]', "stop.stopped", "never reads 'safe'"),
    ("when = [{ phase = 0 }]", 'when = [{ phase = "0" }]', "setup.take.when", "'phase' is a number"),
    ('"/fan"', '"/fan"\npattern = "x"', "lidar.pattern", "names no group"),
    ('"/fan"', '"/fan"\nabsent = [500]', "lidar.absent", "never \"nothing to read\""),
    ('"/fan"', '"/fan"\nbody = { side = "$side" }', "lidar.body", "$side stands for nothing here"),
    ("stopped = [{ tripped = true }]", "stopped = [{}]", "stop.stopped", "an empty condition holds whatever the robot says"),
    ("stopped = [{ tripped = true }]", "stopped = [{ tripped = true }, {}]", "stop.stopped", "an empty condition"),
    ("stopped = [{ tripped = true }]", 'stopped = [{ machine_state = ["estopped", "moving"] }]', "stop.stopped", "moving does not stand"),
    (
        'path = "/go"',
        'path = "/go"\nstates = ["idle"]\nconfirm = [{ machine_state = "idle" }]',
        "commands.go.confirm",
        "holds before the command is sent",
    ),
    ("when = [{ phase = 0 }]", "when = [{}]", "setup.take.when", "an empty condition"),
    ("not_now = [409]", 'refused = "ok == false"', "replies.refused", "write it in backticks: `false`"),
    ('path = "tripped" }', 'path = "tripped==true" }', "fields.tripped.from[0].path", "write it in backticks: `true`"),
    ("rules = [{", 'rules = [{ when = {}, value = "idle" }, {', "fields.machine_state.rules[0].when", "put it last"),
    ('{ to = "$to" }', '{ to = "to" }', "commands.go.params.to", 'say "$to" in the path or the body'),
    ('path = "/go"', 'path = "/go"\nstates = ["paused"]', "commands.go.states", "the profile makes none of these"),
    ('id = "job"', 'id = "job"\npattern = "x"', "commands.go.job.pattern", "names no group"),
    ("not_now = [409]", 'refused_text = "(a+)+"', "replies.refused_text", "must not repeat a group"),
    ("[lidar]", '[constants]\n"/x" = 5\n[lidar]', "constants", "must be text, not a whole number"),
    ("[commands.go]", '[commands.configure]\nclass = "config"\npath = "/x"\n[commands.go]', "commands.configure", "does itself"),
    ("[commands.go.params.to]", "[commands.params.to]", "commands.params", "a name is missing: [commands.NAME.params]"),
    ('method = "PATCH"', 'method = "patch"', "config.drive.write.method", "Did you mean PATCH?"),
    ('"/guard"', '"/guard\\n"', "reads.guard.path", "no line breaks"),
    ('"/guard"', '"/guard"\npattern = "st=(?P<x>.)"', "fields.tripped.from[0].path", "gives no 'tripped'; it gives: x"),
    ('"/guard"', '"/guard"\nevery_s = 9\nlive_for_s = 5', "reads.guard.live_for_s", "every 9 s"),
    ("[auth]", '[auth]\nquery = "key"\nheader = "X-Key"', "auth.header", "the token goes into the query"),
    ("[auth]", '[auth]\nscheme = "Bearer"\ntemplate = "k=$token"', "auth.scheme", "`template` says"),
    ("phase = {", 'phase = { map = { a = "b" },', "fields.phase.type", 'a map makes words, not a number; say type = "text"'),
    ("tripped = {", "tripped = { uptime = true,", "fields.tripped.uptime", "needs a number that grows"),
    ('path = "phase" }', 'path = "phase", bit = 3, scale = 2 }', "fields.phase.from[0].bit", "no scale"),
    ('path = "phase" }', 'path = "phase", bit = 3 }', "fields.phase.type", 'say type = "flag"'),
    ("[lidar]", '[constants]\n"/guard" = "always fine"\n[lidar]', "constants./guard", "is read by reads.guard"),
    ('path = "/parts/$module"', 'path = "/parts"', "modules.details.more.path", "the same of every module"),
    ('done = ["done"]', "done = []", "commands.go.job.done", "never be seen done"),
    ('done = ["done"]', 'done = ["done", "failed"]', "commands.go.job.failed", "'failed' is in `done`, too"),
    ("[about]", '[reset]\npath = "/r"\nfrom_states = ["moving"]\n[about]', "reset.from_states", "is not stopped"),
    ('{ to = "$to" }', '{ to = "$to" }\nencode = "text"', "commands.go.body", "one string"),
    ('{ to = "$to" }', '[["$to"]]\nencode = "form"', "commands.go.body", "a table without tables"),
    ('id = "job"', 'id = "job = 1"', "commands.go.job.id", "compare with =="),
    ('id = "job"', 'id = "a b"', "commands.go.job.id", "texts stand in 'quotes'"),
    ("stopped = [{ tripped = true }]", "stopped = [{ phase = { near = 5 } }]", "stop.stopped", "how far off still counts"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "key", "reason"), WRONG, ids=[f"{row[2]} {row[3]}"[:60] for row in WRONG])
def test_each_sort_of_wrong_profile_is_told_by_key_and_reason(right: str, wrong: str, key: str, reason: str) -> None:
    assert right in GOOD
    found = faults(GOOD.replace(right, wrong, 1))
    told = [fault for fault in found if fault.key.startswith(key) and reason in fault.reason]
    assert told, [str(fault) for fault in found]
    assert told[0].line is not None
