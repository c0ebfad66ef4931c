"""A wrong file made sound for a look at the rest of it: contradictions are told beside faults of structure."""

import copy
import re
from collections.abc import Iterable
from typing import Any

from firmware.language.examples import sound
from firmware.language.shapes import kind_of
from firmware.language.structure import faults


def mended(raw: dict[str, Any], keys: Iterable[str]) -> dict[str, Any] | None:
    """A copy in which something that fits stands where `keys` are wrong. None where that does not make it sound."""
    whole = copy.deepcopy(raw)
    try:
        for key in keys:
            _mend(whole, key)
    except (LookupError, TypeError, AttributeError):  # the key names no place: it is part of a choice, or an entry
        return None  # before it in the list is gone
    return None if any(faults(whole)) else whole


def _mend(whole: dict[str, Any], key: str) -> None:
    *above, last = _steps(whole, key)
    place: Any = whole
    for step in above:
        place = place[step]
    kind = kind_of(key)
    if isinstance(place, list) or kind is None:
        del place[last]
        return
    place[last] = sound(kind)


def _steps(raw: Any, key: str) -> list[Any]:
    """The way to `key` in the file; a name may have dots in it."""
    steps: list[Any] = []
    step: Any
    while key:
        if index := re.match(r"\[(\d+)\]\.?", key):
            step, rest = int(index[1]), key[index.end() :]
        else:
            known = (
                [name for name in raw if re.match(re.escape(name) + r"(\.|\[|$)", key)] if isinstance(raw, dict) else []
            )
            name = max(known, key=len, default=re.split(r"[.\[]", key)[0])
            step, rest = name, key[len(name) :].removeprefix(".")
        steps.append(step)
        raw = raw[step] if isinstance(raw, list) else raw.get(step) if isinstance(raw, dict) else None
        key = rest
    return steps


# What a wrong key that gives names may have for a consequence, beside what stands within it: in these words.
NAMED_BY = {
    "auth": "auth.tokens",
    "auth.tokens": "auth.tokens",
    "reads": "reads are",
    "fields": "one of fields",
    "settings": "stands for nothing",
}


def follows(fault: tuple[str, str], wrong: list[str]) -> bool:
    """Whether a contradiction may be nothing but the consequence of what stands at one of the wrong keys."""
    key, reason = fault
    if "the profile makes" in reason and any(one.startswith("fields.") for one in wrong):
        return True  # what it makes is not known
    names = {step for one in wrong for step in one.split(".")[1:2]}
    return (
        any(key.startswith(one) or one.startswith(key) for one in wrong)
        or any(repr(name) in reason for name in names)
        or any(words in reason for name, words in NAMED_BY.items() if name in wrong)
    )
