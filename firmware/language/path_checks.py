"""What is wrong with the JMESPaths of a profile, beside their grammar: they would run, and find nothing or always the same."""

import difflib
from collections.abc import Iterator
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from firmware.language.equipment_checks import fetches
from firmware.language.kind import Profile
from firmware.language.reads import Ask

Problems = Iterator[tuple[str, str]]
LISTS = ("projection", "filter_projection", "value_projection", "flatten", "multi_select_list")


def function_problem(path: str) -> str | None:
    """A function that there is not, or that takes another number of arguments. None for what cannot be parsed, too."""
    return next(_function_problems(_parsed(path)), None)


def _parsed(path: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = jmespath.compile(path).parsed
    except JMESPathError:
        return {}
    return parsed


def _function_problems(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if node.get("type") == "function_expression":
        name, given = node["value"], len(node["children"])
        known = Functions.FUNCTION_TABLE
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            mend = f"did you mean {near[0]}()?" if near else f"known are {', '.join(sorted(known))}"
            yield f"there is no function {name}(); {mend}"
        elif given != len(wanted := known[name]["signature"]) and not any(one.get("variadic") for one in wanted):
            yield f"{name}() takes {len(wanted)} argument{'s' if len(wanted) != 1 else ''}, not {given}"
    for child in node.get("children", ()):
        yield from _function_problems(child)


def path_problems(profile: Profile) -> Problems:
    """Values that no reply decides, or that are lists."""
    for name, field in profile.fields.items():
        for index, source in enumerate(field.sources):
            yield from _value_problems(f"fields.{name}.from[{index}].path", source.path)
    for name, group in profile.config.items():
        for key, setting in group.settings.items():
            yield from _value_problems(f"config.{name}.settings.{key}.path", setting.path)
    yield from _time_problems(profile)
    if _parsed(profile.replies.refused).get("type") == "literal":
        yield "replies.refused", "is a constant; it must be true in a refusal, and in nothing else"


def _time_problems(profile: Profile) -> Problems:
    for name, read in profile.reads.items():
        for what in ("alive", "taken_at", "clock"):
            if (path := getattr(read, what)) and _parsed(path).get("type") == "literal":
                yield f"reads.{name}.{what}", "is a constant; name what changes with every fresh measurement"
    asked: dict[str, Ask] = {f"reads.{name}": read for name, read in profile.reads.items()} | fetches(profile)
    for key, ask in asked.items():
        if ask.clock and ask.clock == ask.taken_at:
            words = "is the same as `taken_at`, so that every value would be of this moment; name the robot's present time, or drop it"
            yield f"{key}.clock", words


def _value_problems(key: str, path: str) -> Problems:
    kind = _parsed(path).get("type")
    if kind == "literal":
        yield key, "is a constant, and no reading; name where the robot says it"
    elif kind == "or_expression" and _is_constant(_parsed(path)["children"][-1]):
        yield key, "may come to a constant, which is no reading; where the robot says nothing, nothing is shown"
    elif kind in LISTS:
        yield key, f"finds a list, never one value; take one of it: {path} | [0]"


def _is_constant(node: dict[str, Any]) -> bool:
    """A literal that is a value; null says that nothing is told."""
    return node.get("type") == "literal" and node.get("value") is not None
