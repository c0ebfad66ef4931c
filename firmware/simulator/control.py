"""The control server: the inside truth of every robot and its levers, on a port of its own that no fault touches."""

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from firmware.simulator import Simulator
from firmware.simulator.wire import Json

MAX_BODY_BYTES = 65_536


class Control:
    """Answers on `port` of the loopback interface (0: any free one) for a list of robots.

    `GET /` tells the truth; `POST /fault`, `/clear`, `/press_estop`, `/release_estop`, `/plug`, `/unplug`, `/battery`, `/place`
    and `DELETE /fault` act on `"robot"`: an index, a port, or `"all"`. Without it, clearing means all robots and
    everything else the first.
    """

    def __init__(self, simulators: Sequence[Simulator], port: int) -> None:
        self._simulators = simulators
        control = self

        class Handler(_Handler):
            answer = staticmethod(control._answer)

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _answer(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        if (method, path) == ("GET", "/"):
            return 200, self._truth()
        action = ACTIONS.get((method, path))
        if action is None:
            return 404, {"error": f"no {method} {path} here"}
        default: object = "all" if action is _clear else 0
        try:
            for simulator in self._chosen(body.get("robot", default)):
                action(simulator, body)
        except (KeyError, TypeError, ValueError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            return 400, {"error": missing}
        return 200, self._truth()

    def _truth(self) -> Json:
        return {"robots": [{"robot": index, **each.truth()} for index, each in enumerate(self._simulators)]}

    def _chosen(self, robot: object) -> Sequence[Simulator]:
        if robot == "all":
            return self._simulators
        if isinstance(robot, int) and 0 <= robot < len(self._simulators):
            return [self._simulators[robot]]
        chosen = [each for each in self._simulators if robot == each.port]
        if not chosen:
            raise ValueError(f"no robot {robot!r}")
        return chosen


def _number(body: Json, key: str) -> float:
    value = body[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{key} must be a number")
    return float(value)


def _fault(simulator: Simulator, body: Json) -> None:
    name, path, count = body["fault"], body.get("path", "/"), body.get("count")
    if not isinstance(name, str) or not isinstance(path, str):
        raise TypeError("fault and path must be strings")
    if count is not None and (type(count) is not int or count < 1):
        raise TypeError("count must be a whole number above 0")
    value = _number(body, "value") if body.get("value") is not None else None
    simulator.fault(name, value, path=path, count=count)


def _clear(simulator: Simulator, body: Json) -> None:
    name = body.get("fault")
    simulator.clear(name if isinstance(name, str) else None)


ACTIONS: dict[tuple[str, str], Callable[[Simulator, Json], None]] = {
    ("POST", "/fault"): _fault,
    ("DELETE", "/fault"): _clear,
    ("POST", "/clear"): _clear,
    ("POST", "/press_estop"): lambda simulator, body: simulator.press_estop(),
    ("POST", "/release_estop"): lambda simulator, body: simulator.release_estop(),
    ("POST", "/plug"): lambda simulator, body: simulator.plug(int(_number(body, "module"))),
    ("POST", "/unplug"): lambda simulator, body: simulator.plug(int(_number(body, "module")), there=False),
    ("POST", "/battery"): lambda simulator, body: simulator.set_battery(_number(body, "percent")),
    ("POST", "/place"): lambda simulator, body: simulator.place(_number(body, "position_m")),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # Without HTTPServer's look-up of the host's name, which may wait for a name server.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    answer: Callable[[str, str, Json], tuple[int, Json]]
    timeout = 10

    def _handle(self) -> None:
        length = self.headers.get("Content-Length", "0")
        raw = self.rfile.read(min(int(length), MAX_BODY_BYTES)) if length.isdigit() else b""
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = None
        if isinstance(body, dict):
            status, document = type(self).answer(self.command, self.path, body)
        else:
            status, document = 400, {"error": "the body must be a JSON object"}
        payload = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        """Keep standard error for what kills a robot."""


for _verb in ("GET", "POST", "DELETE"):
    setattr(_Handler, f"do_{_verb}", _Handler._handle)
