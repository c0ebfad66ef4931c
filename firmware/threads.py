"""The threads that talk to robots: bounded for commands, one for each robot for stop."""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

import structlog
from django.db import connections

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

COMMAND_THREADS = 32
STOP_THREADS = 512

commands = ThreadPoolExecutor(COMMAND_THREADS, thread_name_prefix="command")
stops = ThreadPoolExecutor(STOP_THREADS, thread_name_prefix="stop")
leaving = threading.Event()  # set when the process begins to end, before its threads are waited for
threading._register_atexit(leaving.set)  # type: ignore[attr-defined] # the pools' own hook; atexit comes too late
_under_way: set[Future[Any]] = set()
jobs = ThreadPoolExecutor(32, thread_name_prefix="job")
records = ThreadPoolExecutor(32, thread_name_prefix="stop-record")


def start(pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run `work` in `pool`, in a copy of this request's context, leaving no database connection behind."""
    context = contextvars.copy_context()

    def run() -> T:
        try:
            return context.run(work, *args, **kwargs)
        finally:
            connections.close_all()

    future = pool.submit(run)
    _under_way.add(future)
    future.add_done_callback(_under_way.discard)
    future.add_done_callback(complain)
    return future


def settle(timeout_s: float) -> bool:
    """Wait until all that was started has ended, at most `timeout_s`. Whether it has."""
    return not wait(set(_under_way), timeout=timeout_s).not_done


def complain(future: Future[T]) -> None:
    """Nobody may be waiting for this work; what nobody thought of must not fail in silence."""
    error = future.exception()
    if error is not None:
        log.error("thread.crashed", exc_info=error)
