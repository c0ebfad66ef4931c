"""`/api/v1/auth/…`, `/api/v1/users/{username}/…` and `/api/v1/journal/`."""

from django.urls import path

from accounts import account_views, lock_views, person_views, registration, role_views, user_exchange, user_views, views

urlpatterns = [
    path("auth/login/", views.Login.as_view(), name="auth-login"),
    path("auth/register/", registration.Registration.as_view(), name="auth-register"),
    path("auth/logout/", views.Logout.as_view(), name="auth-logout"),
    path("auth/me/", views.Me.as_view(), name="auth-me"),
    path("auth/activity/", lock_views.Activity.as_view(), name="auth-activity"),
    path("auth/unlock/", lock_views.Unlock.as_view(), name="auth-unlock"),
    path("auth/password/", account_views.Password.as_view(), name="auth-password"),
    path("auth/mfa/", account_views.Factor.as_view(), name="auth-mfa"),
    path("auth/mfa/confirm/", account_views.FactorConfirm.as_view(), name="auth-mfa-confirm"),
    path("auth/sessions/", account_views.Sessions.as_view(), name="auth-sessions"),
    path("auth/sessions/<int:pk>/", account_views.SessionDetail.as_view(), name="auth-session"),
    path("auth/sign-out-everywhere/", account_views.SignOutEverywhere.as_view(), name="auth-sign-out-everywhere"),
    path("auth/ws-ticket/", views.SocketTicket.as_view(), name="auth-ws-ticket"),
    path("auth/tokens/", views.Tokens.as_view(), name="auth-tokens"),
    path("auth/tokens/<str:token_key>/", views.TokenDetail.as_view(), name="auth-token"),
    path("users/", user_views.Users.as_view(), name="users"),
    path("users/export/", user_exchange.Export.as_view(), name="users-export"),
    path("users/import/", user_exchange.Import.as_view(), name="users-import"),
    path("users/<str:username>/", user_views.UserDetail.as_view(), name="user"),
    path("users/<str:username>/activity/", user_views.UserActivity.as_view(), name="user-activity"),
    path("users/<str:username>/unlock/", person_views.PersonUnlock.as_view(), name="user-unlock"),
    path("users/<str:username>/link/", person_views.PersonLink.as_view(), name="user-link"),
    path("users/<str:username>/mfa/", person_views.PersonFactor.as_view(), name="user-mfa"),
    path("users/<str:username>/sessions/", person_views.PersonSessions.as_view(), name="user-sessions"),
    path("users/<str:username>/sign-out/", person_views.PersonSignOut.as_view(), name="user-sign-out"),
    path("groups/", user_views.Groups.as_view(), name="groups"),
    path("groups/<str:name>/", user_views.GroupDetail.as_view(), name="group"),
    path("roles/", role_views.Roles.as_view(), name="roles"),
    path("roles/matrix/", role_views.Matrix.as_view(), name="roles-matrix"),
    path("roles/validation/", role_views.Validation.as_view(), name="roles-validation"),
    path("roles/<slug:name>/", role_views.RoleDetail.as_view(), name="role"),
    path("roles/<slug:name>/permissions/", role_views.RolePermissions.as_view(), name="role-permissions"),
    path("journal/", views.Journal.as_view(), name="journal"),
]
