"""`manage.py verify_journal`: whether the journal is what was sealed."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import archives, journal, journal_guard, seals, verify
from accounts.journal_walk import walk


class Command(BaseCommand):
    help = (
        "Holds every row against its seal. Exit code 0: intact, and the database guards it. "
        "1: not; the rows, or the triggers, are named. 2: the file is no export."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="an export or an archive instead of the database")
        parser.add_argument(
            "--accept-loss", metavar="REASON", help="after a restore: the newest seal is the head from now on"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["accept_loss"]:
            lost = [one.as_dict() for one in seals.head_findings()]
            journal.record("journal.loss_accepted", reason=options["accept_loss"], data={"findings": lost})
            seals.accept_head()
        code = self._file(options["file"]) if options["file"] else self._database()
        if code:
            raise SystemExit(code)

    def _file(self, path: Path) -> int:
        try:
            verdict = verify.verify(path, seals.trusted())
        except (verify.NotAnExport, OSError) as error:
            raise CommandError(f"{path}: {error}", returncode=verify.UNREADABLE) from error
        for words in verify.tell(verdict):
            self.stdout.write(words)
        return verify.INTACT if verdict.report.intact else verify.BROKEN

    def _database(self) -> int:
        walked, tail, files = walk(), seals.tail(), archives.check_files()
        report = walked.report
        report.add(*seals.head_findings(), *files.findings)
        self.stdout.write(f"{report.seals} seals, {report.rows} rows, {tail.count} rows not sealed yet.")
        for file in files.missing:
            self.stdout.write(f"The archive {file} is not in {archives.folder()}: it was not checked.")
        for finding in report.findings:
            self.stdout.write(finding.words)
        if report.more:
            self.stdout.write(f"… and {report.more} more findings.")
        weak = journal_guard.weaknesses()
        for words in weak:
            self.stdout.write(words)
        guard = "NOT GUARDED." if weak else ""
        self.stdout.write(f"{'Intact.' if report.intact else 'NOT INTACT.'} {guard}".rstrip())
        return verify.INTACT if report.intact and not weak else verify.BROKEN
