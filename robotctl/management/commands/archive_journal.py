"""`manage.py archive_journal`: retention."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import archives, context
from robotctl.problems import Problem


class Command(BaseCommand):
    help = "Moves the rows of old seals to a file in $ROBOTCTL_VAR/archive that verifies by itself; the seals stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", type=int, required=True, metavar="DAYS")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        context.enter()
        before = timezone.now() - timedelta(days=options["older_than"])
        try:
            made = archives.archive(before=before, reason=options["reason"])
        except Problem as problem:
            raise CommandError(str(problem.detail)) from problem
        if made is None:
            self.stdout.write("Nothing is that old.")
        else:
            self.stdout.write(f"{made.count} rows went to {archives.folder() / made.file} (SHA-256 {made.sha256}).")
