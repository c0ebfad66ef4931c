"""`robot-groups/` and `sites/`: robots that belong together, and on which rights are granted together."""

from typing import Any

from django.db import transaction
from rest_framework import generics, serializers
from rest_framework.request import Request

from accounts import giving, journal, permissions
from accounts.models import User
from firmware import belonging
from firmware.models import Robot, RobotGroup, Site
from firmware.views import signed_in
from robotctl.strict import StrictSerializer

IN_SERVICE = Robot.objects.filter(retired_at=None)


class SeenRobot(serializers.SlugRelatedField[Robot]):
    """What is hidden from somebody is as if it was not there."""

    queryset = IN_SERVICE  # what the class asks for; see below

    def get_queryset(self) -> Any:
        return permissions.visible(signed_in(self.context["request"]), IN_SERVICE.all())


class RobotGroupSerializer(StrictSerializer, serializers.ModelSerializer[RobotGroup]):
    robots = serializers.ManyRelatedField(child_relation=SeenRobot(slug_field="slug"), required=False)

    class Meta:
        model = RobotGroup
        fields = ["name", "title", "robots"]

    def validate_name(self, name: str) -> str:
        if self.instance is not None and name != self.instance.name:
            raise serializers.ValidationError("A group keeps its name.")
        return name


class SiteSerializer(StrictSerializer, serializers.ModelSerializer[Site]):
    class Meta:
        model = Site
        fields = ["id", "name", "rail_start_m", "rail_end_m"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        trial = Site(
            **{name: attrs.get(name, getattr(self.instance, name, None)) for name in ("rail_start_m", "rail_end_m")}
        )
        if trial.rail_start_m is not None and trial.rail_end_m is not None:
            trial.clean()
        return attrs


class NeedsUsersManage:
    """Who is in a group decides who may what; asked before anything of the body is looked at. A group with a robot that is hidden
    from somebody is hidden, too."""

    def get_queryset(self) -> Any:
        seen = giving.seen(signed_in(self.request), RobotGroup)  # type: ignore[attr-defined]
        return RobotGroup.objects.filter(pk__in=seen.values("pk")).prefetch_related("robots").order_by("name")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        permissions.require(request.user, "users.manage")


class NeedsRobotConfigure:
    """Looking is for whoever sees robots; changing needs `robot.configure`, asked before anything of the body is looked at."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            permissions.require(request.user, "robot.configure")

    def get_queryset(self) -> Any:
        """The sites of the robots that somebody may see; of all, for whoever sees every robot."""
        person = self.request.user  # type: ignore[attr-defined]
        sites = Site.objects.order_by("name")
        if permissions.may(person, "robot.view"):
            return sites
        return sites.filter(pk__in=permissions.visible(person, IN_SERVICE.all()).values("site"))


class Groups(NeedsUsersManage, generics.ListCreateAPIView[RobotGroup]):
    """Groups of robots: `{"name", "title"?, "robots": [slug]}`. Needs `users.manage`: who is in one decides who may what."""

    queryset = RobotGroup.objects.order_by("name")
    serializer_class = RobotGroupSerializer
    filterset_fields = ["name"]
    ordering_fields = ["name"]

    def perform_create(self, serializer: serializers.BaseSerializer[RobotGroup]) -> None:
        _save(serializer, "created", signed_in(self.request))


class GroupDetail(NeedsUsersManage, generics.RetrieveUpdateDestroyAPIView[RobotGroup]):
    """One group. A robot that comes or goes needs the rights that are granted on it. DELETE ends these grants; the robots stay."""

    queryset = RobotGroup.objects.all()
    serializer_class = RobotGroupSerializer
    lookup_field = "name"

    def perform_update(self, serializer: serializers.BaseSerializer[RobotGroup]) -> None:
        _save(serializer, "changed", signed_in(self.request))

    def perform_destroy(self, instance: RobotGroup) -> None:
        with transaction.atomic():
            giving.take_all(instance, signed_in(self.request))
            instance.delete()
            journal.record("robotgroup.deleted", instance.name)


def _save(serializer: serializers.BaseSerializer[RobotGroup], what: str, by: User) -> None:
    with transaction.atomic():
        group = serializer.instance
        before = [] if group is None else list(group.robots.values_list("slug", flat=True))
        belonging.robots_changed(serializer.save(), before, by, what=what)


class Sites(NeedsRobotConfigure, generics.ListCreateAPIView[Site]):
    """Sites with their rails (m): those of the robots that one may see. POST needs `robot.configure`."""

    queryset = Site.objects.order_by("name")
    serializer_class = SiteSerializer
    filterset_fields = ["name"]
    ordering_fields = ["name"]


class SiteDetail(NeedsRobotConfigure, generics.RetrieveUpdateAPIView[Site]):
    """One site; PATCH needs `robot.configure`."""

    queryset = Site.objects.all()
    serializer_class = SiteSerializer
