"""`manage.py check_profile FILE…`: what is wrong with a profile, each with its line; or what it says, in words."""

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from firmware import profile
from firmware.language.kind import Profile
from firmware.language.structure import Fault
from firmware.language.summary import summary, warnings

HELP = """Checks profiles: every problem with its line, or a summary and what the profile leaves open.

An editor can check while you type. The format's JSON Schema is docs/profile.schema.json (`--schema` prints it); editors
with Taplo, such as VS Code with Even Better TOML, take it from the first line of the file:

    #:schema ../../docs/profile.schema.json
"""


def schema() -> str:
    """The JSON Schema of the format, as docs/profile.schema.json holds it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Profile of a kind of robot, for robotctl",
    }
    return json.dumps(head | msgspec.json.schema(Profile), indent=2, ensure_ascii=False) + "\n"


class Command(BaseCommand):
    help = HELP
    requires_system_checks = []

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="a path, or the name of an installed profile")
        parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the format")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["schema"]:
            self.stdout.write(schema(), ending="")
            return
        if not options["files"]:
            raise CommandError("Name at least one profile: a path, or one of " + ", ".join(profile.available()))
        right = [self._check(given) for given in options["files"]]  # every file is told of, not the first wrong one
        if not all(right):
            raise SystemExit(1)

    def _check(self, given: str) -> bool:
        """Whether the profile is right; says what it found."""
        path = _path(given)
        try:
            found, faults = profile.examine(path.read_text(encoding="utf-8"))
        except OSError as error:
            found, faults = (
                None,
                [Fault("", f"cannot be read: {error.strerror}. Installed are {', '.join(profile.available())}")],
            )
        except UnicodeDecodeError:
            found, faults = None, [Fault("", "is not UTF-8 text")]
        if faults or found is None:
            self.stderr.write("\n".join(_line(path.name, fault) for fault in faults))
            return False
        about, open_ = found.about, warnings(found)
        self.stdout.write(f"{path.name}: {about.title}" + (f" ({about.vendor})" if about.vendor else ""))
        self.stdout.write("\n".join(summary(found)))
        self.stdout.write(
            "\n".join([f"  Right. {len(open_)} to think about:", *(f"    ! {one}" for one in open_)])
            if open_
            else "  Right."
        )
        return True


def _path(given: str) -> Path:
    """Where the profile stands: a path as given, or an installed one by its name."""
    if not Path(given).is_file() and given in profile.available():
        return next(folder / f"{given}.toml" for folder in profile.folders() if (folder / f"{given}.toml").is_file())
    return Path(given)


def _line(file: str, fault: Fault) -> str:
    place = f"{file}:{fault.line}" if fault.line else file
    return f"{place}: {fault if fault.key else fault.reason}"
