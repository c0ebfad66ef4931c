"""Groups of people, who hold grants together: who comes into one gets rights, who leaves loses them."""

from django.contrib.auth.models import Group
from django.db import transaction

from accounts import giving, journal, people, permissions
from accounts.models import Grant, User


def members(group: Group) -> dict[int, User]:
    return {user.pk: user for user in User.objects.filter(groups=group).order_by("username")}


def settle(group: Group, held: dict[int, User], by: User, *, what: str) -> None:
    """After its members were set, in the same transaction: `held` are those of before. Raises Problem 403 `beyond_own_rights`."""
    now = members(group)
    if now.keys() - held.keys():
        people.require_may_add(by, [group])
    gone = held.keys() - now.keys()
    for one in gone:
        giving.require_may_manage(by, held[one])
    if gone - {by.pk}:  # what they held through the group is not theirs any more by now, and is taken all the same
        permissions.require_may_give(by, giving.promised(Grant.objects.filter(group=group)), giving.TAKES)
    told = [[journal.who(user) for user in some.values()] for some in (held, now)]
    journal.record(f"group.members_{what}", group.name, data={"members": told})
    holds = Grant.objects.filter(group=group).exists()
    permissions.rights_changed(held.keys() ^ now.keys() if holds else ())


def delete(group: Group, by: User) -> None:
    """It goes, and ends the grants that it holds. Raises Problem 403 `beyond_own_rights`."""
    with transaction.atomic():
        left = [journal.who(user) for user in members(group).values()]
        for given in Grant.objects.filter(group=group):
            giving.take(given, by)
        name = group.name
        group.delete()
        journal.record("group.members_changed", name, data={"members": [left, []]})
