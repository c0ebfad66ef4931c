"""An order: what a robot is to be told, checked before it is accepted; how it is sent, and how the robot shows that it obeys.

Commands of the profile, register writes and settings become the same kind of thing here; `execution.py` carries them out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from firmware import conditions, equipment_shapes, parameters
from firmware.client import Observation, Reply, RobotClient, Unless
from firmware.drainer import OnEnd
from firmware.errors import FirmwareError
from firmware.fallback import Kind
from firmware.language.actions import Command, Hold, Job
from firmware.language.equipment import Group, Registers, Write
from firmware.language.kind import Profile
from robotctl.problems import Problem

RESET = "reset"  # of a stop; see reset.py
REGISTER_WRITE, CONFIGURE = "register_write", "configure"  # by addresses of their own, where they are checked
RIGHTS = {"register": "robot.register_write", "config": "robot.configure"}


class Send(Protocol):
    def __call__(self, client: RobotClient, *, send_by: float, on_late: OnEnd, unless: Unless) -> Reply: ...


@dataclass
class Look:
    """One look at a robot after it was told something: what was read, and whether that shows that it obeys."""

    seen: list[Observation]
    shown: bool
    heard: bool  # what came back tells that it does not; a silence does not tell that


@dataclass(frozen=True)
class Order:
    """What `execution.run` needs to know of a command, whatever it is made from."""

    kind: Kind
    right: str
    states: list[str]
    send: Send
    look: Callable[[RobotClient, float], Look] | None  # None: no reading could show it; a job still may
    params: dict[str, Any] = field(default_factory=dict)
    deadline_s: float = 10.0
    confirm_within_s: float = 5.0
    holds_s: float = 0.0
    blocks_s: float = 0.0
    job: Job | None = None
    approval: bool = False
    hold: Hold | None = None


def order(profile: Profile, name: str, params: Any) -> Order:
    """The order `name` with checked parameters. Raises Problem 400."""
    if name in profile.commands:
        spec = profile.commands[name]
        return _command(spec, name, parameters.check(spec.params, params))
    if name == REGISTER_WRITE and profile.registers is not None and profile.registers.write is not None:
        return _register_write(profile.registers, profile.registers.write, params)
    if name == CONFIGURE and any(group.write for group in profile.config.values()):
        return _configure(profile, params)
    raise Problem(
        400,
        "unknown_command",
        f"This robot knows no command {name!r}; it knows {', '.join(profile.commands) or 'none'}.",
        errors={"name": ["Unknown command."]},
    )


def _command(spec: Command, name: str, params: dict[str, Any]) -> Order:
    def send(client: RobotClient, *, send_by: float, on_late: OnEnd, unless: Unless) -> Reply:
        return client.command(name, params, send_by=send_by, on_late=on_late, unless=unless)

    def look(client: RobotClient, since: float) -> Look:
        seen, failed = [], set()
        for read in client.profile.reads_for(spec.confirm):
            try:
                seen.append(client.read(read))
            except FirmwareError:
                failed.add(read)
        fresh = [one for one in seen if one.began_at >= since]
        failed |= {one.read for one in seen if one.began_at < since}
        values = conditions.values_of(client.profile, fresh)
        unread = frozenset(name for name, reads in client.profile.field_reads.items() if failed & set(reads))
        refuted = bool(fresh) and conditions.refuted(spec.confirm, values, params, unread)
        return Look(seen, conditions.hold(spec.confirm, values, params), refuted)

    if spec.hold and not params[spec.hold.speed]:
        raise Problem(
            400, "invalid", "0 is no direction.", errors={f"params.{spec.hold.speed}": ["0 is no direction."]}
        )
    return Order(
        kind=spec.kind,
        right=spec.right,
        states=spec.states,
        send=send,
        look=look if spec.confirm else None,
        params=params,
        deadline_s=spec.deadline_s,
        confirm_within_s=spec.confirm_within_s,
        holds_s=spec.holds_s,
        blocks_s=spec.blocks_s,
        job=spec.job,
        approval=spec.approval,
        hold=spec.hold,
    )


def _register_write(table: Registers, write: Write, params: Any) -> Order:
    """`params`: `{"module","register","raw"}`, checked against the table by whoever made them."""
    wanted = {name: params.get(name) if isinstance(params, dict) else None for name in ("module", "register", "raw")}
    if not all(isinstance(wanted[name], str) for name in ("module", "register")) or type(wanted["raw"]) not in (
        int,
        float,
    ):
        words = "Registers are written at robots/{slug}/modules/{module}/registers/{register}/."
        raise Problem(400, "invalid", words, errors={"params": [words]})

    def send(client: RobotClient, *, send_by: float, on_late: OnEnd, unless: Unless) -> Reply:
        sent = {"module": wanted["module"], "register": wanted["register"], "value": wanted["raw"]}
        return client.act(write, sent, what="register write", send_by=send_by, on_late=on_late, unless=unless)

    def look(client: RobotClient, since: float) -> Look:
        try:
            found = client.fetch(client.profile.registers or table, {"module": wanted["module"]})
        except FirmwareError:
            return Look([], False, False)
        rows = equipment_shapes.registers(table, found[0])["registers"] if found else []
        now = next((row["raw"] for row in rows if row["address"] == wanted["register"]), None)
        fresh = found is not None and found[1] >= since
        return Look([], fresh and equipment_shapes.same(now, wanted["raw"]), now is not None)

    return _write_order("register", write, wanted, send, look)


def _configure(profile: Profile, params: Any) -> Order:
    """`params`: `{"group","values"}`. All values of a group are checked before any is sent."""
    name = params.get("group") if isinstance(params, dict) else None
    group = profile.config.get(name) if isinstance(name, str) else None
    if group is None or group.write is None:
        words = f"Name one of the groups that can be set: {', '.join(n for n, g in profile.config.items() if g.write)}."
        raise Problem(400, "invalid", words, errors={"params.group": [words]})
    given, write = params.get("values"), group.write
    settable = {key: setting for key, setting in group.settings.items() if setting.writable}
    asked = {key: settable[key] for key in given if key in settable} if isinstance(given, dict) else {}
    values = parameters.check(asked, given, "values")
    if not values:
        raise Problem(400, "invalid", "Nothing is to be set.", errors={"params.values": ["Give at least one."]})

    def send(client: RobotClient, *, send_by: float, on_late: OnEnd, unless: Unless) -> Reply:
        return _send_settings(client, group, write, values, send_by=send_by, on_late=on_late, unless=unless)

    def look(client: RobotClient, since: float) -> Look:
        try:
            found = client.fetch(client.profile.config[str(name)])
        except FirmwareError:
            return Look([], False, False)
        now = equipment_shapes.settings(group, found[0])["values"] if found else {}
        fresh = found is not None and found[1] >= since
        return Look(
            [],
            fresh
            and all(
                equipment_shapes.same(now.get(key), value, settable[key].tolerance) for key, value in values.items()
            ),
            True,
        )

    return _write_order("config", write, {"group": name, "values": values}, send, look)


def _write_order(
    kind: Kind, write: Write, params: dict[str, Any], send: Send, look: Callable[[RobotClient, float], Look]
) -> Order:
    return Order(
        kind=kind,
        right=RIGHTS[kind],
        states=write.states,
        send=send,
        look=look,
        params=params,
        confirm_within_s=write.confirm_within_s,
        blocks_s=write.blocks_s,
        approval=write.approval,
    )


def _send_settings(
    client: RobotClient,
    group: Group,
    write: Write,
    values: dict[str, Any],
    *,
    send_by: float,
    on_late: OnEnd,
    unless: Unless,
) -> Reply:
    """All in one request, or, where the profile names `$key`, one by one."""
    keys = {name: setting.key or name for name, setting in group.settings.items()}
    sent = {keys[name]: value for name, value in parameters.sent(group.settings, values).items()}
    if not equipment_shapes.one_by_one(write):
        return client.act(write, {"values": sent}, what="settings", send_by=send_by, on_late=on_late, unless=unless)
    done: list[str] = []
    for key, value in sent.items():
        about = {"key": key, "value": value}
        try:
            reply = client.act(write, about, what=f"setting {key}", send_by=send_by, on_late=on_late, unless=unless)
        except FirmwareError as error:
            before = f" Set already, and in force: {', '.join(done)}." if done else ""
            error.args = (f"{key}: {str(error).rstrip('.')}.{before}",)
            raise
        done.append(key)
    return reply
