from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and record"

    def ready(self) -> None:
        from accounts import audit, journal_health, leaked, openapi, reports  # noqa: F401 - they register themselves
        from accounts.reports import own

        audit.connect()
        reports.REPORTS.update(own.REPORTS)
        post_migrate.connect(make_default_roles, sender=self)


def make_default_roles(**_: Any) -> None:
    """Every installation has the roles of the table; a role that is there, edited or not, is left alone."""
    from accounts.models import Role
    from accounts.roles import DEFAULTS

    for name, spec in DEFAULTS.items():
        defaults = {"title": spec.title, "parent_id": spec.parent, "permissions": list(spec.permissions)}
        Role.objects.get_or_create(name=name, defaults=defaults)
