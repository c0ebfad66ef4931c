"""A profile with every part of the language in it, and what is wrong with a text."""

from firmware import profile
from firmware.language.structure import Fault

GOOD = """
[about]
title = "A robot"
[auth]
tokens = ["admin"]
[settings.unit]
type = "text"
[replies]
not_now = [409]
[reads.state]
path = "/units/$unit/state"
[reads.guard]
path = "/guard"
[fields]
phase = { from = [{ read = "state", path = "phase" }] }
tripped = { type = "flag", from = [{ read = "guard", path = "tripped" }] }
[fields.machine_state]
type = "text"
rules = [{ when = { tripped = true }, value = "estopped" }, { when = { phase = 1 }, value = "idle" }, { when = {}, value = "unknown" }]
[stop]
path = "/stop"
body = { unit = "$unit" }
stopped = [{ tripped = true }]
[setup.take]
path = "/take"
title = "take control"
when = [{ phase = 0 }]
[commands.go]
class = "motion"
path = "/go"
body = { to = "$to" }
[commands.go.params.to]
[commands.go.job]
id = "job"
path = "/jobs/$job"
state = "stage"
done = ["done"]
failed = ["failed"]
[modules]
path = "/parts"
list = "parts"
address = "no"
details.more = { path = "/parts/$module", fields = { heat = { path = "heat" } } }
[registers]
path = "/parts/$module/cells"
list = "cells"
address = "key"
value = "val"
known = { 2 = { 0x10 = { unit = "V" } } }
[registers.write]
path = "/parts/$module/cells/$register"
body = { val = "$value" }
[lidar]
path = "/fan"
distances = "cm"
[config.drive]
path = "/settings"
settings = { top = { path = "top" } }
[config.drive.write]
path = "/settings"
method = "PATCH"
body = { set = "$values" }
"""
MACHINE = GOOD[GOOD.index("rules =") : GOOD.index("[stop]")]


def faults(text: str) -> list[Fault]:
    return profile.examine(text)[1]
