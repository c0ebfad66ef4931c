"""Where sockets connect."""

from django.urls import path, re_path

from realtime import consumers

websocket_urlpatterns = [
    path("ws/", consumers.LiveConsumer.as_asgi()),
    path("ws/telemetry", consumers.TelemetryConsumer.as_asgi()),
    path("ws/monitoring", consumers.MonitoringConsumer.as_asgi()),
    path("ws/alerts", consumers.AlertsConsumer.as_asgi()),
    re_path("", consumers.NowhereConsumer.as_asgi()),
]
