"""`/api/v1/auth/…` and `/api/v1/journal/`."""

from django.urls import path

from accounts import role_views, user_exchange, user_views, views

urlpatterns = [
    path("auth/login/", views.Login.as_view(), name="auth-login"),
    path("auth/logout/", views.Logout.as_view(), name="auth-logout"),
    path("auth/me/", views.Me.as_view(), name="auth-me"),
    path("auth/password/", views.Password.as_view(), name="auth-password"),
    path("auth/ws-ticket/", views.SocketTicket.as_view(), name="auth-ws-ticket"),
    path("auth/tokens/", views.Tokens.as_view(), name="auth-tokens"),
    path("auth/tokens/<str:token_key>/", views.TokenDetail.as_view(), name="auth-token"),
    path("users/", user_views.Users.as_view(), name="users"),
    path("users/export/", user_exchange.Export.as_view(), name="users-export"),
    path("users/import/", user_exchange.Import.as_view(), name="users-import"),
    path("users/<str:username>/", user_views.UserDetail.as_view(), name="user"),
    path("users/<str:username>/activity/", user_views.UserActivity.as_view(), name="user-activity"),
    path("groups/", user_views.Groups.as_view(), name="groups"),
    path("groups/<str:name>/", user_views.GroupDetail.as_view(), name="group"),
    path("roles/", role_views.Roles.as_view(), name="roles"),
    path("roles/matrix/", role_views.Matrix.as_view(), name="roles-matrix"),
    path("roles/validation/", role_views.Validation.as_view(), name="roles-validation"),
    path("roles/<slug:name>/", role_views.RoleDetail.as_view(), name="role"),
    path("roles/<slug:name>/permissions/", role_views.RolePermissions.as_view(), name="role-permissions"),
    path("journal/", views.Journal.as_view(), name="journal"),
]
