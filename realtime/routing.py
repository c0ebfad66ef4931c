"""Where sockets connect."""

from django.urls import re_path

from realtime import consumers

websocket_urlpatterns = [
    re_path("^ws/?$", consumers.LiveConsumer.as_asgi()),
    re_path("^ws/telemetry/?$", consumers.TelemetryConsumer.as_asgi()),
    re_path("^ws/monitoring/?$", consumers.MonitoringConsumer.as_asgi()),
    re_path("^ws/alerts/?$", consumers.AlertsConsumer.as_asgi()),
    re_path("", consumers.NowhereConsumer.as_asgi()),
]
