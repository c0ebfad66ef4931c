"""The front door: HTTP to Django, WebSockets to the consumers."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "robotctl.settings")
django_application = get_asgi_application()

from realtime.routing import websocket_urlpatterns  # noqa: E402 - needs the app registry

application = ProtocolTypeRouter({"http": django_application, "websocket": URLRouter(websocket_urlpatterns)})
