"""Makes `.venv` and installs what is needed, then becomes the command asked for. Standard library only.

Run by path with any Python (`python3 robotctl/bootstrap.py run`), so it has to parse on old ones too: to tell that
Python is too old is its work. A second start finds the stamp and goes on within milliseconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "robotctl-stamp"
REQUIREMENTS = {"run": "requirements.txt", "dev": "requirements-dev.txt"}
NEEDS_DEV = {"test", "lint", "bench", "bench-one", "dev"}
POSTGRES = os.environ.get("ROBOTCTL_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
# About robots, words and pages: what they ask of a database others ask as well, and they take their time.
ABOUT_NO_DATABASE = [
    "firmware/tests/contract",
    "firmware/tests/test_lift_connected.py",
    "firmware/tests/test_probe_admin.py",
    "realtime/tests/test_report_page.py",
    "robotctl/tests/test_access_table.py",
    "accounts/tests/test_input.py",
]
ON_POSTGRES = "database and not system and not browser and not octoprint"
NO_TESTS_COLLECTED = 5
# Variables that would make a virtual environment use, or install to, another place.
MISLEADING = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__")


def fail(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    sys.exit(1)


def check_python() -> None:
    """What a machine may lack, each in a line that says what to do."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        fail(
            f"robotctl needs Python 3.11 or newer, this is {found}: install one and name it: make run PYTHON=python3.12"
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            fail(f"This Python has no '{module}' module. On Debian and Ubuntu: apt install python3-venv; start again.")
    if not os.access(ROOT, os.W_OK):
        fail(f"Cannot write to {ROOT}, where .venv is to be made: give this user that right, or clone it elsewhere.")


def digest(kind: str) -> str:
    """What an environment depends on. Differs as soon as it has to be made again."""
    names = ["requirements.txt"] if kind == "run" else ["requirements.txt", "requirements-dev.txt"]
    content = b"\0".join((ROOT / name).read_bytes() for name in names)
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def is_ready(kind: str) -> bool:
    """Whether `.venv` is complete. One made for development also serves to run."""
    try:
        stamps = STAMP.read_text().split()
    except OSError:
        return False
    serving = {f"{other}:{digest(other)}" for other in (kind, "dev")}
    return bool(serving & set(stamps)) and os.access(PYTHON, os.X_OK)


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in MISLEADING}


def _follow(output: IO[str]) -> deque[str]:
    """Pip's output as progress. Returns its last lines, for the case that it fails."""
    last: deque[str] = deque(maxlen=15)
    fetched = 0
    for line in output:
        last.append(line.rstrip())
        if line.startswith("Collecting "):
            fetched += 1
            if sys.stdout.isatty():
                print(f"\r  {fetched} packages found: {line.split()[1]:<40.40}", end="", flush=True)
        elif line.startswith("Installing collected"):
            end = "\r" if sys.stdout.isatty() else ""
            print(f"{end}  {fetched} packages are here, installing them …{' ' * 30}".rstrip(), flush=True)
    return last


def pip_install(requirements: str) -> None:
    print(f"Installing what {requirements} names (once; a minute or so) …", flush=True)
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    with subprocess.Popen(
        [*command, "-r", str(ROOT / requirements)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=clean_environment(),
    ) as pip:
        try:
            last = _follow(pip.stdout) if pip.stdout else deque()
        except BaseException:  # Ctrl-C or SIGTERM: pip is not left behind
            pip.terminate()
            raise
    if pip.returncode:
        print("\n".join(last), file=sys.stderr)
        fail(
            "pip could not install the packages; its last lines are above. The package registry has to be reachable"
            " this once (network, proxy, PIP_INDEX_URL). Then start again: nothing needs cleaning up."
        )


def make_venv() -> None:
    """A fresh `.venv`. Without a valid stamp nothing in an old one can be trusted."""
    print(f"Making {VENV} with Python {sys.version.split()[0]} …", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    python = getattr(sys, "_base_executable", "") or sys.executable  # not the one of a venv that happens to be active
    made = subprocess.run(
        [python, "-m", "venv", str(VENV)], capture_output=True, text=True, env=clean_environment(), check=False
    )
    if made.returncode:
        print((made.stdout + made.stderr).strip(), file=sys.stderr)
        fail(f"Python could not make {VENV}. On Debian and Ubuntu: apt install python3-venv; else see above.")


def ensure(kind: str) -> None:
    """Have a complete `.venv`. Interrupted, it has no stamp and is made again; two at once wait for each other."""
    if is_ready(kind):
        return
    check_python()
    with (ROOT / "requirements.txt").open() as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another start is installing; waiting for it …", flush=True)
            fcntl.flock(turn, fcntl.LOCK_EX)
        if is_ready(kind):
            return
        if not is_ready("run"):
            make_venv()
        STAMP.unlink(missing_ok=True)
        pip_install(REQUIREMENTS[kind])
        draft = STAMP.with_suffix(".new")
        kinds = ("run", "dev") if kind == "dev" else ("run",)
        draft.write_text("\n".join(f"{done}:{digest(done)}" for done in kinds))
        os.replace(draft, STAMP)


def become(*arguments: str) -> NoReturn:
    """Replace this process: a signal to it then reaches the real work, and nothing is left behind."""
    os.execve(PYTHON, [str(PYTHON), *arguments], clean_environment())  # noqa: S606


def follow(name: str, *arguments: str, quiet: bool = False, **environment: str) -> int:
    """Run one of several commands in turn. A signal ends it as well."""
    print(f"--- {name}", flush=True)
    output = subprocess.DEVNULL if quiet else None
    with subprocess.Popen([str(PYTHON), *arguments], env=clean_environment() | environment, stderr=output) as child:
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            raise


def lint(_: list[str]) -> NoReturn:
    """Every check runs, also when an earlier one failed."""
    packages = ["robotctl", "firmware", "accounts", "monitoring", "realtime"]
    checks = {
        "ruff check": ["-m", "ruff", "check", "."],
        "ruff format": ["-m", "ruff", "format", "--check", "."],
        "mypy": ["-m", "mypy", *packages, "manage.py"],
        "import-linter": ["-c", "from importlinter.cli import lint_imports_command as lint; lint()"],
        # Ruff's S rules are bandit's and know our exceptions line by line; B104 (wildcard addresses) and
        # B608 (SQL that is put together) are left to them.
        "bandit": ["-m", "bandit", "-q", "-ll", "-s", "B104,B608", "-r", *packages, "-x", "*/tests/*"],
        "migrations": ["manage.py", "makemigrations", "--check", "--dry-run"],
    }
    failed = [name for name, arguments in checks.items() if follow(name, *arguments)]
    print(f"Lint failed: {', '.join(failed)}" if failed else "Lint passed.")
    sys.exit(1 if failed else 0)


def test(arguments: list[str]) -> NoReturn:
    """The fast tests side by side, those with a database again on PostgreSQL, then real processes and the browser."""
    workers = min(3 * (os.cpu_count() or 1), 8)  # they wait more than they work
    together = ["-m", "pytest", "-n", str(workers), *arguments]
    codes = {follow("fast tests", *together, "-m", "not system and not browser")}
    if postgres_answers():
        without = [f"--ignore={path}" for path in ABOUT_NO_DATABASE]
        codes.add(follow("the same on PostgreSQL", *together, "-m", ON_POSTGRES, *without, DATABASE_URL=POSTGRES))
    elif os.environ.get("CI"):
        print(f"PostgreSQL does not answer at {POSTGRES}.")
        codes.add(1)
    else:
        print(f"Skipped: the tests on PostgreSQL (it does not answer at {POSTGRES}; set ROBOTCTL_TEST_POSTGRES).")
    # One worker has the shared system and its browser, the other what starts processes of its own.
    apart = ["-m", "pytest", "-n", "2", "--dist", "loadgroup", *arguments, "-m", "system or browser"]
    codes.add(follow("system and browser tests", *apart))
    if codes == {NO_TESTS_COLLECTED}:
        sys.exit(NO_TESTS_COLLECTED)  # a path or name that matches no test is a mistake
    sys.exit(max(codes - {NO_TESTS_COLLECTED}))


def postgres_answers() -> bool:
    question = f"import psycopg; psycopg.connect({POSTGRES!r}, connect_timeout=3).close()"
    return follow("looking for PostgreSQL", "-W", "ignore", "-c", question, quiet=True) == 0


def main() -> NoReturn:
    # As an exception, so that what is being waited for is ended too; exec puts the default back.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    task, rest = (sys.argv[1] if len(sys.argv) > 1 else "run"), sys.argv[2:]
    commands = {
        "run": ["-m", "robotctl.run"],
        "simulator": ["-m", "firmware.simulator"],
        "bench": ["-m", "benchmarks"],
        "bench-one": ["-m", "benchmarks"],
        "venv": ["-c", f"print('{VENV} is ready.')"],
        "dev": ["-c", f"print('{VENV} is ready, with the tools for tests and lint.')"],
    }
    several = {"test": test, "lint": lint}
    if task not in commands and task not in several:
        fail(f"Unknown task {task!r}: one of {', '.join([*commands, *several])}.")
    if sys.version_info < OLDEST:
        check_python()
    os.chdir(ROOT)
    try:
        ensure("dev" if task in NEEDS_DEV else "run")
        if task in several:
            several[task](rest)
        become(*commands[task], *rest)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        fail(f"robotctl cannot start: {error}")


if __name__ == "__main__":
    main()
