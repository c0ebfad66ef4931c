"""The pages."""

from django.contrib.auth import views as auth_views
from django.urls import path

from realtime import unlock_view, views

urlpatterns = [
    path("", views.fleet, name="fleet"),
    path("robots/<slug:slug>/", views.robot, name="robot-page"),
    path(
        "sign-in/",
        auth_views.LoginView.as_view(template_name="sign_in.html", redirect_authenticated_user=True),
        name="sign-in",
    ),
    path("unlock/", unlock_view.unlock, name="unlock"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="sign-out"),
]
