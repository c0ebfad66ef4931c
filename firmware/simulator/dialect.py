"""What the two dialects have in common: find the route, ask for the token, run the handler, word the refusal."""

from collections.abc import Callable
from dataclasses import dataclass

from firmware.simulator.vehicle import RefusedError
from firmware.simulator.wire import Call, Reply, Request, Route, Router


@dataclass(frozen=True)
class Dialect:
    """One way of answering. `authorize` returns the refusal or None; `error` words a failure."""

    name: str
    router: Router
    authorize: Callable[[Route, Call], Reply | None]
    error: Callable[[Call, int, str], Reply]
    unauthorized: Callable[[Call], Reply]
    accepts: Callable[[Request, Route], bool]

    def answer(self, call: Call) -> Reply:
        """The reply to one request."""
        request = call.request
        if request.method not in ("GET", "POST"):
            return self.error(call, 400, "Bad Request")
        found = self.router.find(request.method, request.path)
        if found is None or not self.accepts(request, found[0]):
            return self.error(call, 404, "Not Found")
        route, args = found
        refusal = self.authorize(route, call)
        if refusal is not None:
            return refusal
        try:
            return route.handler(Call(call.vehicle, request, args, call.emergency_delay_s))
        except RefusedError as refused:
            return self.error(call, 400, str(refused))
