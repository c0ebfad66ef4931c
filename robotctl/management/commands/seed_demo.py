"""`manage.py seed_demo`: the demo's people, site and robots. Once; never over what somebody has changed."""

import json
import os
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import journal
from accounts.models import JournalEntry, User
from firmware.models import Robot, Site

PEOPLE = ("admin", "engineer", "operator", "viewer", "auditor")
TOKENS = {role: f"oht50_{role}_token_2025" for role in ("admin", "operator", "readonly")}  # the simulator's
SEEDED = "demo.seeded"


class Command(BaseCommand):
    help = "Seeds the demo once. Prints nothing when it is there."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENV.production:
            raise CommandError("The demo is not for production.")
        if User.objects.exists() or JournalEntry.objects.filter(verb=SEEDED).exists():
            return
        plan = json.loads((settings.ENV.var / "demo.json").read_text())
        password = self._password()
        with transaction.atomic():
            for name in PEOPLE:
                User.objects.create_user(name, password=password, role_id=name)
            site = Site.objects.create(name="Hall A", rail_start_m=0, rail_end_m=100)
            for entry in plan["robots"]:
                number = entry["slug"].rpartition("-")[2]
                robot = Robot(slug=entry["slug"], name=f"OHT {number}", profile="oht50", simulated=True, site=site)
                robot.base_url = f"http://127.0.0.1:{entry['port']}"
                robot.credentials = TOKENS
                robot.save()
            journal.record(SEEDED, data={"robots": len(plan["robots"])})
        self.stdout.write(f"seeded {len(PEOPLE)} people and {len(plan['robots'])} robots")

    def _password(self) -> str:
        """From the environment, or made up and kept for its owner until it is changed."""
        given = os.environ.get("ROBOTCTL_ADMIN_PASSWORD", "")
        if given:
            return given
        made = secrets.token_urlsafe(12)
        path = settings.ENV.var / "demo-password"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(made + "\n")
        return made
