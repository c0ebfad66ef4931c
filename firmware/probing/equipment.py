"""A probe's look at what a robot is made of: modules, the registers of the first, its scan, its settings. Once each."""

from collections.abc import Callable
from functools import partial
from typing import Any

from accounts.journal import redact
from firmware import equipment_shapes, replies
from firmware.client import RobotClient
from firmware.errors import Busy
from firmware.language.equipment import Fetch, Group
from firmware.probing.asking import Asker
from firmware.probing.words import Step, explain

SHOWN_AT_MOST = 12


def look(client: RobotClient, asker: Asker) -> list[Step]:
    """A step for each part that the profile has."""
    kind, steps, document = client.profile, list[Step](), dict[str, Any]()
    if modules := kind.modules:

        def told(reply: Any) -> str:
            document.update(equipment_shapes.modules(modules, reply))
            return _listed("modules", [one["address"] for one in document["modules"]])

        steps.append(_fetched(client, asker, "modules", modules, {}, told))
    if registers := kind.registers:
        if not document.get("modules"):
            steps.append(Step("registers", None, None, "Not asked: no module is known."))
        else:
            module = document["modules"][0]["address"]

            def table(reply: Any) -> str:
                found = equipment_shapes.registers(registers, reply)["registers"]
                writable = sum(one["writable"] for one in found)
                return f"{len(found)} registers, {writable} of them writable."

            steps.append(_fetched(client, asker, f"registers of {module}", registers, {"module": module}, table))
    if lidar := kind.lidar:

        def scan(reply: Any) -> str:
            found = equipment_shapes.scan(lidar, reply)
            nearest = found["nearest_mm"]
            return f"{len(found['points'])} points, nearest {'none' if nearest is None else f'{nearest:g} mm'}."

        steps.append(_fetched(client, asker, "LiDAR", lidar, {}, scan))
    return steps + _groups(client, asker)


def _groups(client: RobotClient, asker: Asker) -> list[Step]:
    return [
        _fetched(client, asker, f"configuration {name}", group, {}, partial(_settings, group))
        for name, group in client.profile.config.items()
    ]


def _settings(group: Group, reply: Any) -> str:
    """What is set, without what sits under a name that speaks of a secret."""
    values = redact(equipment_shapes.settings(group, reply)["values"])
    given = [f"{name} = {replies.word(value)}" for name, value in values.items() if value is not None]
    missing = [name for name, value in values.items() if value is None]
    told = [", ".join(given)] if given else []
    return "; ".join(told + ([f"not given: {', '.join(missing)}"] if missing else [])) + "."


def _listed(what: str, addresses: list[str]) -> str:
    more = ", …" if len(addresses) > SHOWN_AT_MOST else ""
    return f"{len(addresses)} {what}: {', '.join(addresses[:SHOWN_AT_MOST])}{more}." if addresses else f"No {what}."


def _fetched(
    client: RobotClient, asker: Asker, name: str, part: Fetch, params: dict[str, str], words: Callable[[Any], str]
) -> Step:
    timeout_s = part.timeout_s or client.profile.transport.timeout_s
    asked = asker.ask(timeout_s, lambda: (client.fetch(part, params),))
    if asked.error is not None:
        told, mend = explain(asked.error)
        return Step(name, None if isinstance(asked.error, Busy) else False, asked.ms, told, mend, asked.error.status)
    reply = asked.value[0] if asked.value else None
    if reply is None:
        return Step(name, None, asked.ms, "The robot has none of it.")
    return Step(name, True, asked.ms, words(reply[0]))
