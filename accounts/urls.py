"""`/api/v1/auth/…` and `/api/v1/journal/`."""

from django.urls import path

from accounts import lock_views, views

urlpatterns = [
    path("auth/login/", views.Login.as_view(), name="auth-login"),
    path("auth/logout/", views.Logout.as_view(), name="auth-logout"),
    path("auth/me/", views.Me.as_view(), name="auth-me"),
    path("auth/activity/", lock_views.Activity.as_view(), name="auth-activity"),
    path("auth/unlock/", lock_views.Unlock.as_view(), name="auth-unlock"),
    path("auth/password/", views.Password.as_view(), name="auth-password"),
    path("auth/ws-ticket/", views.SocketTicket.as_view(), name="auth-ws-ticket"),
    path("auth/tokens/", views.Tokens.as_view(), name="auth-tokens"),
    path("auth/tokens/<str:token_key>/", views.TokenDetail.as_view(), name="auth-token"),
    path("journal/", views.Journal.as_view(), name="journal"),
]
