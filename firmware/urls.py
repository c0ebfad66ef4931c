"""`/api/v1/robots/…`, `commands/…`, `stop/`, `profiles/`."""

from django.urls import path

from firmware import access, command_views, equipment_views, lease_views, link_views, sequence_views, stop_views, views

urlpatterns = [
    path("robots/", views.Robots.as_view(), name="robots"),
    path("robots/<slug:slug>/", views.RobotDetail.as_view(), name="robot"),
    path("robots/<slug:slug>/state/", views.RobotStateView.as_view(), name="robot-state"),
    path("robots/<slug:slug>/lease/", lease_views.Lease.as_view(), name="robot-lease"),
    path("robots/<slug:slug>/lease/break/", lease_views.BreakLease.as_view(), name="robot-lease-break"),
    path("robots/<slug:slug>/link/", link_views.Link.as_view(), name="robot-link"),
    path("robots/<slug:slug>/maintenance/", link_views.Maintenance.as_view(), name="robot-maintenance"),
    path("robots/<slug:slug>/link/reset/", link_views.LinkReset.as_view(), name="robot-link-reset"),
    path("robots/<slug:slug>/link/test/", link_views.LinkTest.as_view(), name="robot-link-test"),
    path("robots/<slug:slug>/commands/", command_views.RobotCommands.as_view(), name="robot-commands"),
    path("robots/<slug:slug>/sequences/", sequence_views.RobotSequences.as_view(), name="robot-sequences"),
    path("sequences/<int:pk>/", sequence_views.SequenceDetail.as_view(), name="sequence"),
    path("sequences/<int:pk>/cancel/", sequence_views.SequenceCancel.as_view(), name="sequence-cancel"),
    # without the slash as well: a redirect would turn the POST into a GET, and nothing would stop
    path("robots/<slug:slug>/stop", stop_views.StopRobot.as_view(schema=None)),
    path("stop", stop_views.StopAll.as_view(schema=None)),
    path("robots/<slug:slug>/stop/", stop_views.StopRobot.as_view(), name="robot-stop"),
    path("robots/<slug:slug>/stop/reset/", stop_views.StopReset.as_view(), name="robot-stop-reset"),
    path("robots/<slug:slug>/access/", access.RobotAccess.as_view(), name="robot-access"),
    path("robots/<slug:slug>/access/<int:pk>/", access.RobotGrant.as_view(), name="robot-grant"),
    path("robots/<slug:slug>/modules/", equipment_views.Modules.as_view(), name="robot-modules"),
    path("robots/<slug:slug>/modules/<str:address>/", equipment_views.Module.as_view(), name="robot-module"),
    path(
        "robots/<slug:slug>/modules/<str:address>/registers/",
        equipment_views.Registers.as_view(),
        name="robot-registers",
    ),
    path(
        "robots/<slug:slug>/modules/<str:address>/registers/<str:register>/",
        equipment_views.Register.as_view(),
        name="robot-register",
    ),
    path("robots/<slug:slug>/lidar/", equipment_views.Lidar.as_view(), name="robot-lidar"),
    path("robots/<slug:slug>/config/", equipment_views.Config.as_view(), name="robot-config"),
    path("commands/<int:pk>/", command_views.CommandDetail.as_view(), name="command"),
    path("commands/<int:pk>/hold/", command_views.CommandHold.as_view(), name="command-hold"),
    path("commands/<int:pk>/release/", command_views.CommandRelease.as_view(), name="command-release"),
    path("commands/<int:pk>/approve/", command_views.CommandApprove.as_view(), name="command-approve"),
    path("commands/<int:pk>/cancel/", command_views.CommandCancel.as_view(), name="command-cancel"),
    path("commands/<int:pk>/resolve/", command_views.CommandResolve.as_view(), name="command-resolve"),
    path("stop/", stop_views.StopAll.as_view(), name="stop-all"),
    path("auth/stop-ticket/", stop_views.StopTicket.as_view(), name="auth-stop-ticket"),
    path("profiles/", views.Profiles.as_view(), name="profiles"),
]
