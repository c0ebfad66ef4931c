"""`manage.py profile_language`: the reference of the profile language, as docs/profile-language.md holds it."""

from typing import Any

from django.core.management.base import BaseCommand

from firmware.language import reference


class Command(BaseCommand):
    help = "Prints the reference of the profile language (Markdown)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(reference.page(), ending="")
