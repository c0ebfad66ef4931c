"""`users/…` and `groups/`: people, what they did lately, and who belongs together."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import activity, groups, names, people, permissions
from accounts.models import ApiToken, User
from robotctl.strict import StrictSerializer


class UserRow(serializers.ModelSerializer[User]):
    """A person as the list shows them."""

    role = serializers.CharField(source="role_id")
    groups: Any = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)
    has_password = serializers.BooleanField(source="has_usable_password")

    class Meta:
        model = User
        fields = [
            "username", "email", "first_name", "last_name", "role", "groups", "is_active", "must_change_password", "has_password",
            "last_login", "date_joined", "password_changed_at",
        ]  # fmt: skip


class UserChange(StrictSerializer):
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    role = serializers.CharField(max_length=40)
    email = serializers.EmailField(allow_blank=True)
    first_name = serializers.CharField(max_length=150, allow_blank=True)
    last_name = serializers.CharField(max_length=150, allow_blank=True)
    is_active = serializers.BooleanField()
    must_change_password = serializers.BooleanField()
    groups = serializers.ListField(child=serializers.CharField(max_length=150))


class UserRequest(UserChange):
    """Without `password` the person comes in by a link."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1024, trim_whitespace=False, allow_null=True, default=None)
    email = serializers.EmailField(allow_blank=True, default="")
    first_name = serializers.CharField(max_length=150, allow_blank=True, default="")
    last_name = serializers.CharField(max_length=150, allow_blank=True, default="")
    is_active = serializers.BooleanField(default=True)
    must_change_password = serializers.BooleanField(default=False)
    groups = serializers.ListField(child=serializers.CharField(max_length=150), default=list)


class ReasonGiven(StrictSerializer):
    reason = serializers.CharField(max_length=500)


class UserActivityReply(serializers.Serializer[Any]):
    days = serializers.IntegerField()
    last_at = serializers.CharField(allow_null=True)
    acts = serializers.JSONField()


def manager(request: Request) -> User:
    """Who is asking, if they may manage people."""
    permissions.require(request.user, "users.manage")
    assert isinstance(request.user, User)
    return request.user


class Users(generics.ListAPIView[User]):
    """People; looking needs `users.view`. POST makes one (`users.manage`): `{"username","password"?,"role","email"?, …}`."""

    queryset = User.objects.prefetch_related("groups").order_by("-pk")
    serializer_class = UserRow
    filterset_fields = ["username", "email", "role", "is_active", "groups__name"]
    ordering_fields = ["username", "role", "last_login", "date_joined"]

    def get_queryset(self) -> Any:
        permissions.require(self.request.user, "users.view")
        return super().get_queryset()

    @extend_schema(request=UserRequest, responses={201: UserRow})
    def post(self, request: Request) -> Response:
        by = manager(request)
        given = UserRequest(data=request.data)
        given.is_valid(raise_exception=True)
        made = people.create(by, **given.validated_data)
        return Response(UserRow(made).data, status=status.HTTP_201_CREATED)


class UserDetail(APIView):
    """One person. Everybody sees and changes their own name and address; the rest needs `users.manage`.

    PATCH `{"role"?,"is_active"?,"groups"?,"email"?, …}` is in force at once. DELETE `{"reason"}` deletes the person's data and keeps
    the record: 409 `last_admin`, `yourself`.
    """

    @extend_schema(responses=UserRow)
    def get(self, request: Request, username: str) -> Response:
        return Response(UserRow(_user_or_404(request, username, "users.view")).data)

    @extend_schema(request=UserChange(partial=True), responses=UserRow)
    def patch(self, request: Request, username: str) -> Response:
        user = _user_or_404(request, username, "users.manage")
        given = UserChange(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        beyond = set(given.validated_data) - set(people.DETAILS)
        if beyond and not permissions.may(request.user, "users.manage"):
            raise exceptions.PermissionDenied(f"Your role does not include users.manage, which {min(beyond)} needs.")
        if beyond:
            people.change(user, manager(request), given.validated_data)
        else:
            if isinstance(request.auth, ApiToken) and not request.auth.by_sign_in:
                raise exceptions.PermissionDenied("A token that was made does nothing about the account.")
            by = user if user.pk == request.user.pk else manager(request)
            people.change_details(user, by, given.validated_data)
        return Response(UserRow(User.objects.get(pk=user.pk)).data)

    @extend_schema(request=ReasonGiven, responses={204: None})
    def delete(self, request: Request, username: str) -> Response:
        by = manager(request)
        given = ReasonGiven(data=request.data)
        given.is_valid(raise_exception=True)
        people.forget(get_object_or_404(User, username=username), by, reason=given.validated_data["reason"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class UserActivity(APIView):
    """What the record says of a person's last 30 days: `{"days","last_at","acts": [{"verb","outcome","count","last_at"}]}`."""

    @extend_schema(responses=UserActivityReply)
    def get(self, request: Request, username: str) -> Response:
        return Response(activity.lately(_user_or_404(request, username, "users.view")))


class GroupSerializer(StrictSerializer, serializers.ModelSerializer[Group]):
    members = serializers.SlugRelatedField(
        source="user_set", slug_field="username", queryset=User.objects.all(), many=True, required=False
    )

    class Meta:
        model = Group
        fields = ["name", "members"]

    def validate_name(self, name: str) -> str:
        return names.checked_for_address(name)


class Groups(generics.ListCreateAPIView[Group]):
    """Groups of people, who hold grants together: `{"name","members": [username]}`. Needs `users.manage`."""

    queryset = Group.objects.prefetch_related("user_set").order_by("name")
    serializer_class = GroupSerializer
    filterset_fields = ["name"]
    ordering_fields = ["name"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        manager(request)

    def perform_create(self, serializer: serializers.BaseSerializer[Group]) -> None:
        _save(serializer, "created", manager(self.request))


class GroupDetail(generics.RetrieveUpdateDestroyAPIView[Group]):
    """One group of people; DELETE ends the grants that it holds."""

    queryset = Group.objects.prefetch_related("user_set")
    serializer_class = GroupSerializer
    lookup_field = "name"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        manager(request)

    def perform_update(self, serializer: serializers.BaseSerializer[Group]) -> None:
        _save(serializer, "changed", manager(self.request))

    def perform_destroy(self, instance: Group) -> None:
        groups.delete(instance, manager(self.request))


def _save(serializer: serializers.BaseSerializer[Group], what: str, by: User) -> None:
    with transaction.atomic():
        held = {} if serializer.instance is None else groups.members(serializer.instance)
        groups.settle(serializer.save(), held, by, what=what)


def _user_or_404(request: Request, username: str, action: str) -> User:
    """The person, if it is oneself or one may do `action`."""
    assert isinstance(request.user, User)
    if username != request.user.username:
        permissions.require(request.user, action)
    return get_object_or_404(User.objects.prefetch_related("groups"), username=username)
