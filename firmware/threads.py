"""The threads that talk to robots: bounded for commands, one for each robot for stop."""

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")

COMMAND_THREADS = 32
STOP_THREADS = 512

commands = ThreadPoolExecutor(COMMAND_THREADS, thread_name_prefix="command")
stops = ThreadPoolExecutor(STOP_THREADS, thread_name_prefix="stop")
records = ThreadPoolExecutor(4, thread_name_prefix="stop-record")


def start(pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run `work` in `pool`, in a copy of this request's context, leaving no database connection behind."""
    context = contextvars.copy_context()

    def run() -> T:
        try:
            return context.run(work, *args, **kwargs)
        finally:
            connections.close_all()

    return pool.submit(run)
