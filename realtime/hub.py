"""The hub: one per web process. One subscription to the bus, one frame for everybody, a bounded queue for each socket.

State is conflated per topic to the newest. Events are read from the database, once per bell and every two seconds, so
none is lost with the bus; the same sweep finds robots whose state has moved on unheard.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import redis.asyncio
import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from redis.exceptions import RedisError

from firmware.stop_targets import targets
from realtime import snapshot
from realtime.protocol import TOO_SLOW
from robotctl import events

P = ParamSpec("P")
T = TypeVar("T")

SWEEP_EVERY_S = 2.0
SWEEP_WITHOUT_BUS_S = 0.5
RECONNECT_S = 1.0
MOST_EVENTS_WAITING = 2_000
SLOW_AFTER_S = 20.0

Send = Callable[[str], Coroutine[Any, Any, None]]
Close = Callable[[int], Coroutine[Any, Any, None]]

log = structlog.get_logger(__name__)
_database_threads = ThreadPoolExecutor(4, thread_name_prefix="hub-db")


async def in_database(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking database work on the hub's own threads, off the loop."""

    def run() -> T:
        close_old_connections()
        try:
            return work(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_database_threads, run)


class Client:
    """One socket's outbox: newest state per topic, events in order, and one writer that empties it."""

    def __init__(self, send: Send, close: Close) -> None:
        self.send, self.close = send, close
        self.topics: set[str] = set()
        self._notices: deque[str] = deque()
        self._states: dict[str, str] = {}
        self._events: deque[tuple[int, str]] = deque()
        self._held: list[tuple[int, str]] | None = None
        self._wake = asyncio.Event()
        self.last_event = 0
        self.writing_since: float | None = None

    def notice(self, text: str) -> None:
        """A frame for this socket alone; kept in order, never dropped."""
        self._notices.append(text)
        self._wake.set()

    def state(self, topic: str, text: str) -> None:
        self._states.pop(topic, None)  # the newest goes to the end of the line
        self._states[topic] = text
        self._wake.set()

    def event(self, event_id: int, text: str) -> None:
        """Queue an event. While earlier ones are being replayed it waits behind them."""
        if self._held is not None:
            self._held.append((event_id, text))
        elif event_id > self.last_event:
            self.last_event = event_id
            if len(self._events) >= MOST_EVENTS_WAITING:
                asyncio.get_running_loop().create_task(self.close(TOO_SLOW))  # it resumes from the last id that it saw
                return
            self._events.append((event_id, text))
            self._wake.set()

    def hold_events(self) -> None:
        self._held = []

    def release_events(self) -> None:
        held, self._held = self._held or [], None
        for event_id, text in held:
            self.event(event_id, text)

    async def write(self) -> None:
        """The writer task: sends until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (text := self._next()) is not None:
                self.writing_since = loop.time()
                await self.send(text)
                self.writing_since = None

    def _next(self) -> str | None:
        if self._notices:
            return self._notices.popleft()
        if self._events:
            return self._events.popleft()[1]
        if self._states:
            return self._states.pop(next(iter(self._states)))
        return None


class Hub:
    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.topics: dict[str, set[Client]] = {}
        self.last_event = 0
        self.bus_up = False
        self.rights_listeners: set[Callable[[int | None], None]] = set()
        self._seen: dict[str, int] = {}  # robot → newest seq that went through here
        self._bell = asyncio.Event()
        self._starting = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin with the first socket."""
        async with self._starting:
            if not self._tasks:
                self.last_event = await in_database(snapshot.last_event_id)
                self._tasks = [asyncio.create_task(_for_ever(work)) for work in (self._listen, self._sweep)]

    def add(self, client: Client) -> None:
        self.clients.add(client)

    def remove(self, client: Client) -> None:
        self.clients.discard(client)
        for topic in list(client.topics):
            self.leave(client, topic)

    def join(self, client: Client, topic: str) -> None:
        client.topics.add(topic)
        self.topics.setdefault(topic, set()).add(client)

    def leave(self, client: Client, topic: str) -> None:
        client.topics.discard(topic)
        members = self.topics.get(topic)
        if members is not None:
            members.discard(client)
            if not members:
                del self.topics[topic]

    # --- from the bus -----------------------------------------------------------------------------------------------
    async def _listen(self) -> None:
        while True:
            bus = redis.asyncio.Redis.from_url(
                settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=None, health_check_interval=5
            )
            try:
                async with bus.pubsub() as subscription:
                    await subscription.subscribe(events.CHANNEL)
                    self._set_bus(True)
                    while True:
                        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=5.0)
                        if message is not None:
                            self._deliver(message["data"])
            except (RedisError, OSError, TimeoutError) as error:
                self._set_bus(False, str(error))
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await bus.aclose()
            await asyncio.sleep(RECONNECT_S)

    def _set_bus(self, up: bool, why: str = "") -> None:
        if up and not self.bus_up:
            self._ask_again(None)  # bells may have been lost
        if up != self.bus_up:
            (log.info if up else log.warning)("hub.bus_up" if up else "hub.bus_down", error=why)
        self.bus_up = up

    def _deliver(self, message: bytes) -> None:
        topic, kind, seq, text = events.split(message)
        if kind == "state":
            self._state(topic, seq or 0, text.decode())
        elif topic == "journal":
            self._bell.set()
        elif topic == "rights":
            self._rights(text)

    def note(self, topic: str, seq: int) -> None:
        """A robot's state at `seq` has gone through here."""
        slug = topic.partition(".")[2]
        self._seen[slug] = max(self._seen.get(slug, 0), seq)

    def _state(self, topic: str, seq: int, text: str) -> None:
        self.note(topic, seq)
        for client in self.topics.get(topic, ()):
            client.state(topic, text)

    def _rights(self, text: bytes) -> None:
        targets.look_again()  # stop tickets may be void now
        self._ask_again(events.decode(text).get("user_id"))

    def _ask_again(self, user_id: int | None) -> None:
        for listener in list(self.rights_listeners):
            listener(user_id)

    # --- from the database --------------------------------------------------------------------------------------------
    async def _sweep(self) -> None:
        """Once per bell, and at least every two seconds: new events, and states that were missed."""
        loop = asyncio.get_running_loop()
        next_states = loop.time()
        while True:
            every_s = SWEEP_EVERY_S if self.bus_up else SWEEP_WITHOUT_BUS_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), every_s)
            self._bell.clear()
            try:
                await self._new_events()
                if loop.time() >= next_states:
                    next_states = loop.time() + every_s
                    await self._missed_states()
                    if not self.bus_up:
                        self._ask_again(None)  # no bell tells of withdrawn rights now
            except DatabaseError as error:
                log.warning("hub.database_lost", error=str(error))
                await asyncio.sleep(RECONNECT_S)
            self._close_the_slow(loop.time())

    async def _new_events(self) -> None:
        while rows := await in_database(snapshot.events, self.last_event):
            for event_id, topics, text in rows:
                self.last_event = event_id
                for client in set().union(*(self.topics.get(topic, ()) for topic in topics)):
                    client.event(event_id, text)

    async def _missed_states(self) -> None:
        watched = {topic.partition(".")[2] for topic in self.topics if topic.startswith(("robot.", "tile."))}
        if not watched:
            return
        current = await in_database(snapshot.sequences)
        missed = {slug for slug in watched if current.get(slug, 0) > self._seen.get(slug, 0)}
        if missed:
            wanted = [f"{kind}.{slug}" for slug in missed for kind in ("robot", "tile")]
            for topic, seq, text in await in_database(
                snapshot.states, [topic for topic in wanted if topic in self.topics], "state"
            ):
                self._state(topic, seq, text)

    def _close_the_slow(self, now: float) -> None:
        for client in self.clients:
            if client.writing_since is not None and now - client.writing_since > SLOW_AFTER_S:
                asyncio.get_running_loop().create_task(client.close(TOO_SLOW))


async def _for_ever(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Sockets would stay open and tell nothing any more if one of these ended: what nobody thought of is logged and begun anew."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("hub.crashed", work=work.__name__)
            await asyncio.sleep(RECONNECT_S)


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def current() -> Hub:
    """This process's hub (one per event loop: a process has one, a test may have several)."""
    loop = asyncio.get_running_loop()
    return _hubs.setdefault(loop, Hub())
