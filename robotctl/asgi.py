"""The front door: HTTP to Django, WebSockets to the consumers; and the record of the process's start and end."""

import atexit
import functools
import os
import threading

import django
from asgiref.sync import sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "robotctl.settings")
django.setup(set_prefix=False)

from accounts import lifecycle  # noqa: E402 - needs the app registry
from firmware.stop_route import StopRoute  # noqa: E402 - needs the app registry
from firmware.stop_targets import targets  # noqa: E402 - needs the app registry
from realtime.routing import websocket_urlpatterns  # noqa: E402 - needs the app registry
from robotctl.front import Headers, Limits, Message, Receive, Send  # noqa: E402 - needs settings


class OneThreadHandler(ASGIHandler):
    """Runs middleware and view of a request in one thread, in one go.

    All of ours are synchronous. Django would weave them between thread and event loop; a request under way while the loop ends
    then waits for the loop for ever, and so does the process. It also costs several hand-overs per request.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


@functools.cache
def end() -> None:
    """Once, whoever tells of the end first: uvicorn by its lifespan, Daphne by leaving."""
    lifecycle.stopped("web")


async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
    """What a server with a lifespan (uvicorn) tells."""
    while True:
        kind = (await receive())["type"]
        if kind == "lifespan.shutdown":
            await sync_to_async(end, thread_sensitive=False)()
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


targets.start()
# Beside the door, which opens at once: a database that does not answer keeps nobody from stopping a robot.
threading.Thread(target=lifecycle.started, args=["web"], name="start-recorded", daemon=True).start()
atexit.register(end)
http = Headers(StopRoute(Limits(OneThreadHandler()), targets))
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns), "lifespan": lifespan})
