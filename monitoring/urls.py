"""`/api/v1/monitoring/…`, and what is monitoring's below `robots/`."""

from django.urls import path

from monitoring import health_views, views

urlpatterns = [
    path("monitoring/metrics/", views.Metrics.as_view(), name="metrics"),
    path("monitoring/metrics/history/", views.MetricsHistory.as_view(), name="metrics-history"),
    path("monitoring/health/", health_views.Health.as_view(), name="health"),
    path("monitoring/thresholds/", health_views.ThresholdsView.as_view(), name="thresholds"),
    path("robots/<slug:slug>/history/", views.RobotHistory.as_view(), name="robot-history"),
]
