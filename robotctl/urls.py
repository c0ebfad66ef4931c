"""Every address of robotctl."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from realtime.views import problem_page
from robotctl import health

urlpatterns = [
    path("", include("realtime.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("accounts.urls")),
    path("api/v1/", include("firmware.urls")),
    path("api/v1/", include("monitoring.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("health/live", health.live),
    path("health/ready", health.ready),
]

handler400 = problem_page(400)
handler403 = problem_page(403)
handler404 = problem_page(404)
handler500 = problem_page(500)
