"""`manage.py seal_journal`: closes what no seal closes yet. `make run` does this last of all; otherwise the worker does it by itself."""

from typing import Any

from django.core.management.base import BaseCommand

from accounts import seals


class Command(BaseCommand):
    help = "Seals the rows of the journal that are not sealed yet."

    def handle(self, *args: Any, **options: Any) -> None:
        made = seals.seal()
        self.stdout.write(f"{made} seals made, {seals.tail().count} rows not sealed.")
