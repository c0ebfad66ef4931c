"""`manage.py probe URL`: what a robot answers, before it is registered. Only looks; sends no command."""

import getpass
from collections.abc import Iterator
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from firmware.drainer import SHUTDOWN_WAIT_S, drainer
from firmware.probing.asking import Target
from firmware.probing.probe import probe, value_words
from firmware.probing.words import GUIDE, Report, Step

MARKS = {True: "✓ ok", False: "✗ failed", None: "· note"}


class Command(BaseCommand):
    help = (
        "Looks at a robot by a profile, or finds out which one fits. Sends reads only. Exit 0: its state can be read."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="http://host:port or https://host:port")
        parser.add_argument("--profile", help="an installed profile; without it, the one that fits best")
        text = "may be repeated; without =value it is asked for, and so stays out of the shell's history"
        parser.add_argument("--credential", action="append", default=[], metavar="NAME[=VALUE]", help=text)
        parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
        parser.add_argument("--json", action="store_true", help="the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        credentials = dict(_credential(given) for given in options["credential"])
        settings = dict(_setting(given) for given in options["setting"])
        report = probe(Target(options["url"], options["profile"], credentials, settings))
        if options["json"]:
            self.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        else:
            self.stdout.write("\n".join(lines(report)))
        self._wait()
        if not report.ok:
            raise SystemExit(1)

    def _wait(self) -> None:
        """A process that ends closes its sockets, and some firmware dies of that before it has answered."""
        if drainer.count():
            self.stderr.write(
                f"Waiting up to {SHUTDOWN_WAIT_S:g} s for the robot's answer, so as not to hang up on it."
            )
            if drainer.wait(SHUTDOWN_WAIT_S):
                self.stderr.write(
                    "It has not answered; the connection is given up now. Check that the robot still runs."
                )


def _credential(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    return name, value if equals else getpass.getpass(f"Credential {name}: ")


def _setting(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise CommandError(f"--setting {given}: give it as name=value.")
    return name, value


def lines(report: Report) -> Iterator[str]:
    """The report for a terminal."""
    kind = f", as {report.profile}" + (f" ({report.title})" if report.title else "") if report.profile else ""
    yield f"{report.url}{kind}"
    for step in report.steps:
        yield from _step(step)
    if report.fits:
        yield "Installed profiles"
        for fit in report.fits:
            yield f"  {'→' if fit.profile == report.profile else ' '} {fit.profile} {fit.score:.0%}: {fit.why}"
    if report.readings or report.machine_state:
        yield "What would be shown"
        since = report.machine_state_age_s
        yield f"  machine state: {report.machine_state or '—'}" + ("" if since is None else f"  ({since:.1f} s old)")
        for one in report.readings:
            age = "" if one.age_s is None else f"  ({one.age_s:.1f} s old)"
            yield f"  {one.title}: {value_words(one)}{age}"
    if report.advice:
        yield "What to do"
        yield from (f"  {one}" for one in report.advice)
    if not report.ok and not any(GUIDE in one for one in report.advice):
        yield f"  How robots are connected: {GUIDE}"


def _step(step: Step) -> Iterator[str]:
    took = "" if step.ms is None else f"{step.ms:.0f} ms"
    yield f"  {MARKS[step.ok]:<8} {took:>8}  {step.name}: {step.words}"
    if step.mend:
        yield f"{'':<21}→ {step.mend}"
