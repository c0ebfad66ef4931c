"""`robots/{slug}/modules/`, `registers/`, `lidar/`, `config/`: what the profile offers, as last told, with its age."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from firmware import commands, drift, equipment, equipment_shapes, orders, profile, state
from firmware.command_views import accepted
from firmware.language.equipment import Registers as Registers_
from firmware.models import CommandStatus, Equipment, Robot
from firmware.serializers import CommandReply, ConfigRequest, RegisterRequest
from firmware.views import robot_or_404, signed_in
from robotctl.problems import Problem


def _readings(row: Equipment, items: Any, values: dict[str, Any], fresh_s: float) -> dict[str, Any]:
    now = timezone.now()
    return {
        name: equipment.reading(row, values.get(name), item.unit, 2 * fresh_s + 1, now) | {"title": item.title or name}
        for name, item in items.items()
    }


class Modules(APIView):
    """The robot's modules: `{"observed_at","error","modules":[{"address","readings"}]}`."""

    @extend_schema(operation_id="robots_modules_list", responses={200: dict})
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        row = equipment.modules(robot)
        spec = profile.load_or_unusable(robot.profile).modules
        assert spec is not None
        listed = [
            {"address": one["address"], "readings": _readings(row, spec.fields, one["values"], spec.fresh_s)}
            for one in row.document.get("modules", [])
        ]
        return Response({"robot": slug, **equipment.about(row), "modules": listed})


class Module(APIView):
    """One module: what more it tells, each part with its own age."""

    @extend_schema(responses={200: dict})
    def get(self, request: Request, slug: str, address: str) -> Response:
        robot = robot_or_404(request, slug)
        row = _known_module(robot, address)
        spec = profile.load_or_unusable(robot.profile).modules
        assert spec is not None
        listed = next(one for one in row.document["modules"] if one["address"] == address)
        parts = {
            name: equipment.about(row)
            | {
                "readings": _readings(
                    row, spec.details[name].fields, row.document.get("values", {}), spec.details[name].fresh_s
                )
            }
            for name, row in equipment.details(robot, address).items()
        }
        readings = _readings(row, spec.fields, listed["values"], spec.fresh_s)
        return Response(
            {"robot": slug, "address": address, **equipment.about(row), "readings": readings, "details": parts}
        )


def _known_module(robot: Robot, address: str) -> Equipment:
    """Only what the robot lists is asked for. Raises Problem 404, 503."""
    row = equipment.modules(robot)
    listed = {one["address"] for one in row.document.get("modules", [])}
    if address not in listed and row.error:
        raise Problem(503, "unreadable", f"The robot's modules cannot be read. {row.error}")
    if address not in listed:
        words = f"The robot lists no module {address}; it lists {', '.join(sorted(listed)) or 'none'}."
        raise Problem(404, "not_found", words)
    return row


def _register_shapes(robot: Robot, address: str, row: Equipment) -> list[dict[str, Any]]:
    spec = profile.load_or_unusable(robot.profile).registers
    assert spec is not None
    return [_register(spec, address, row, one) for one in row.document.get("registers", [])]


def _register(spec: Registers_, address: str, row: Equipment, one: dict[str, Any]) -> dict[str, Any]:
    """One register in its unit and raw. When it is too old to be shown as a number, the raw one is, too."""
    facts = equipment_shapes.facts(one, spec.known.get(address, {}).get(one["address"]))
    value = None if one["raw"] is None else one["raw"] if facts.scale == 1 else round(one["raw"] * facts.scale, 9)
    reading = equipment.reading(row, value, facts.unit, 2 * spec.fresh_s + 1, timezone.now())
    limits = (facts.minimum, facts.maximum) if facts.writable else (None, None)
    low, high = (None if limit is None else limit * facts.scale for limit in limits)
    return {
        "address": one["address"],
        "title": facts.title,
        "type": one["type"],
        "writable": bool(facts.writable and spec.write),
        "minimum": low,
        "maximum": high,
        "scale": facts.scale,
        "raw": None if reading["value"] is None else one["raw"],
        "reading": reading,
    }


class Registers(APIView):
    """A module's register table, values in their unit and raw."""

    @extend_schema(operation_id="robots_modules_registers_list", responses={200: dict})
    def get(self, request: Request, slug: str, address: str) -> Response:
        robot = robot_or_404(request, slug)
        _known_module(robot, address)
        row = equipment.registers(robot, address)
        return Response(
            {
                "robot": slug,
                "module": address,
                **equipment.about(row),
                "registers": _register_shapes(robot, address, row),
            }
        )


class Register(APIView):
    """One register; POST writes it: needs `robot.register_write` and a reason, and answers with the command."""

    @extend_schema(responses={200: dict})
    def get(self, request: Request, slug: str, address: str, register: str) -> Response:
        robot = robot_or_404(request, slug)
        _known_module(robot, address)
        row = equipment.registers(robot, address)
        shapes = {one["address"]: one for one in _register_shapes(robot, address, row)}
        if register not in shapes:
            raise Problem(404, "not_found", f"Module {address} has no register {register}.")
        return Response({"robot": slug, "module": address, **equipment.about(row), **shapes[register]})

    @extend_schema(request=RegisterRequest, responses={201: CommandReply})
    def post(self, request: Request, slug: str, address: str, register: str) -> Response:
        robot = robot_or_404(request, slug, "robot.register_write")
        with commands.refusals(robot, orders.REGISTER_WRITE, {"module": address, "register": register}):
            given = RegisterRequest(data=request.data)
            given.is_valid(raise_exception=True)
            _known_module(robot, address)
            raw = equipment.check_write(robot, address, register, given.validated_data["value"])
        params = {"module": address, "register": register, "raw": raw}
        try:
            return accepted(request, robot, orders.REGISTER_WRITE, params, given.validated_data)
        finally:
            equipment.forget_pace(robot, f"registers:{address}")


class Lidar(APIView):
    """The last scan: `{"observed_at","age_s","quality","error","points":[[angle_deg, distance_mm, strength]],"nearest_mm",
    "zones"}`; 0° is straight ahead, angles turn left. Where there was no echo there is no point."""

    @extend_schema(responses={200: dict})
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        row = equipment.scan(robot)
        spec = profile.load_or_unusable(robot.profile).lidar
        assert spec is not None
        nearest = row.document.get("nearest_mm")
        age = equipment.reading(row, nearest, "mm", 2 * spec.fresh_s + 1, timezone.now())
        zones = [
            {"title": zone.title, "radius_mm": zone.radius_mm, "from_deg": zone.from_deg, "to_deg": zone.to_deg}
            for zone in spec.zones
        ]
        points = [] if age["value"] is None and nearest is not None else row.document.get("points", [])
        shape = {"robot": slug, **equipment.about(row), "age_s": age["age_s"], "quality": age["quality"]}
        return Response(shape | {"nearest_mm": age, "points": points, "zones": zones})


class Config(APIView):
    """Settings: reported, desired, and the drift between them. PATCH `{"values": {"group.name": value}, "reason"}` sets
    some: needs `robot.configure`, and answers with one command for each group."""

    @extend_schema(responses={200: dict})
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        return Response(drift.document(robot, equipment.settings(robot)))

    @extend_schema(request=ConfigRequest, responses={200: dict})
    def patch(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "robot.configure")
        with commands.refusals(robot, orders.CONFIGURE, {}):
            given = ConfigRequest(data=request.data)
            given.is_valid(raise_exception=True)
            wanted = given.validated_data
            groups = drift.by_group(robot, wanted["values"])
            for group, values in groups.items():  # all are right before any is sent
                orders.order(
                    profile.load_or_unusable(robot.profile), orders.CONFIGURE, {"group": group, "values": values}
                )
        sent: list[dict[str, Any]] = []
        for group, values in groups.items():
            params = {"group": group, "values": values}
            try:
                command, _ = commands.submit(
                    robot, signed_in(request), name=orders.CONFIGURE, params=params, reason=wanted["reason"]
                )
            except Problem as problem:
                if not sent:
                    raise
                # the groups before it are out already: what became of them is told, and that this one was not sent
                refused = {"status": "refused", "code": problem.code, "detail": str(problem.detail)}
                sent.append({"name": orders.CONFIGURE, "params": params} | refused)
                continue
            if command.status != CommandStatus.AWAITING_APPROVAL:
                drift.desire(robot, group, values, by=signed_in(request).get_username(), reason=wanted["reason"])
            commands.running.wait(command.pk, wanted["wait_s"])
            command.refresh_from_db()
            sent.append(state.command_shape(command))
        found = equipment.settings(robot, now=bool(wanted["wait_s"]))
        return Response({"commands": sent} | drift.document(robot, found), status=status.HTTP_200_OK)
