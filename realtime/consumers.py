"""One WebSocket: signs in, subscribes by right, and hands everything else to the hub."""

import asyncio
import contextlib
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError
from django.utils import timezone

from accounts import entry, permissions
from accounts.authentication import session_locks_in_s, session_user, token_user
from accounts.journal import iso
from accounts.models import User, WsTicket
from realtime import hub, origin, protocol, refused, snapshot
from realtime.hub import in_database
from realtime.protocol import BadMessage, Ping, Subscribe, Unsubscribe, frame

MOST_ERRORS = 20
SHORTHANDS = {"fleet": ("tile", "robot.view"), "alerts": ("alert", "alerts.view")}
BY_RIGHT = {"fleet": "fleet.view", "alerts": "alerts.view", "monitoring": "monitoring.view", "journal": "journal.view"}
LOCK_ASKED_EVERY_S = 5.0


class LiveConsumer(AsyncWebsocketConsumer):
    """`/ws/`: see protocol.py. Subclasses subscribe at once to `preselected`."""

    preselected: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user: User | None = None
        self.client: hub.Client | None = None
        self.writer: asyncio.Task[None] | None = None
        self.rechecking: asyncio.Task[None] | None = None
        self.rights_moved = False
        self.asks_again: asyncio.TimerHandle | None = None
        self.changing_topics = asyncio.Lock()  # what is joined follows from rights that were looked up just before
        self.errors = 0
        self.asked: list[str] = []
        self.rights: dict[str, list[str]] = {}
        self.session_key, self.token_digest = "", ""

    async def connect(self) -> None:
        self.hub = hub.current()
        await self.accept()
        await self.hub.start()
        self.hub.rights_listeners.add(self._rights_changed)  # before the look-up: what is withdrawn after it is heard
        try:
            async with self.changing_topics:
                code = await self._enter()
        except BaseException:
            self.hub.rights_listeners.discard(self._rights_changed)
            raise
        if code is not None:
            await self.close(code)
            await in_database(refused.socket, self.scope, code)
        elif self.preselected:
            await self._subscribe(Subscribe(list(self.preselected)))

    async def _enter(self) -> int | None:
        """Join the hub as the person that the ticket or the session tells; else the code to close with."""
        code = await self._sign_in()
        if self.user is None:
            return code
        self.client = hub.Client(lambda text: self.send(text_data=text), self.close)
        self.hub.add(self.client)
        self.writer = asyncio.create_task(self._write())
        self.client.notice(
            frame("hello", server_time=iso(timezone.now()), heartbeat_s=protocol.HEARTBEAT_S, user=self.user.username)
        )
        return None

    async def disconnect(self, code: int) -> None:
        self.hub.rights_listeners.discard(self._rights_changed)
        if self.client is not None:
            self.hub.remove(self.client)
        for task in (self.writer, self.rechecking, self.asks_again):
            if task is not None:
                task.cancel()

    async def _write(self) -> None:
        assert self.client is not None
        # The socket is gone: the server tells `disconnect`, which tidies up.
        with contextlib.suppress(ConnectionError, RuntimeError, asyncio.CancelledError):
            await self.client.write()

    # --- who --------------------------------------------------------------------------------------------------------
    async def _sign_in(self) -> int | None:
        """Set `user`, or return the code to close with. A ticket speaks for itself; a cookie only from our own pages."""
        given = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("ticket", [""])[0]
        if given:
            ticket = await in_database(WsTicket.redeem, given)
            if ticket is None:
                return protocol.NOT_SIGNED_IN
            self.session_key, self.token_digest = ticket.session_key, ticket.token_id or ""
        else:
            headers = dict(self.scope.get("headers", []))
            if b"origin" not in headers:
                return protocol.NOT_SIGNED_IN  # no browser: programs use a ticket
            if not origin.is_ours(self.scope.get("scheme", ""), headers):
                return protocol.WITHDRAWN
            self.session_key = origin.session_cookie(headers)
        self.user, code = await in_database(self._look_up)
        return code

    def _look_up(self) -> tuple[User | None, int | None]:
        """Who it is now; else the code to close with."""
        user = token_user(self.token_digest) if self.token_digest else session_user(self.session_key)
        if user is None:
            return None, protocol.NOT_SIGNED_IN
        return (None, protocol.WITHDRAWN) if entry.duty(user) else (user, None)

    def _rights_changed(self, user_id: int | None) -> None:
        """Ask again; also while it is still being looked up who this is."""
        if user_id is None or self.user is None or user_id == self.user.pk:
            self.rights_moved = True
            if self.rechecking is None or self.rechecking.done():
                self.rechecking = asyncio.get_running_loop().create_task(self._check_again())

    async def _check_again(self) -> None:
        while self.rights_moved:
            self.rights_moved = False
            try:
                async with self.changing_topics:
                    if self.client is not None:
                        await self._leave_what_is_withdrawn(self.client)
            except DatabaseError:
                self.rights_moved = True  # nobody knows: ask until it is known
                await asyncio.sleep(hub.RECONNECT_S)

    async def _leave_what_is_withdrawn(self, client: hub.Client) -> None:
        """Rights have changed: look the person up anew, and leave what they may not see any more."""
        self.user, code = await in_database(self._look_up)
        if self.user is None:
            await self.close(code)
            return
        if not self.asked:
            return
        before = set(client.topics)
        allowed, rights = await self._may(self.asked)
        asked = _taken(self.asked, allowed)
        if allowed == before and asked == self.asked and rights == self.rights:
            return
        self.asked, self.rights = asked, rights
        for topic in before - allowed:
            self.hub.leave(client, topic)
        for topic in allowed - before:
            self.hub.join(client, topic)
        if before and not allowed:
            await self.close(protocol.WITHDRAWN)
            return
        client.notice(frame("subscribed", topics=sorted(self.asked), rights=rights))
        for _, _, text in await in_database(snapshot.states, allowed - before):
            client.notice(text)

    # --- what -------------------------------------------------------------------------------------------------------
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.client is None:
            return
        try:
            message = protocol.parse(text_data)
        except BadMessage as error:
            await self._error("bad_message", str(error))
            return
        match message:
            case Ping(id=ping_id):
                self.client.notice(frame("pong", id=ping_id, server_time=iso(timezone.now())))
            case Subscribe():
                await self._subscribe(message)
            case Unsubscribe(topics=topics):
                await self._unsubscribe(topics)

    async def _error(self, code: str, detail: str, **more: Any) -> None:
        assert self.client is not None
        self.errors += 1
        if self.errors > MOST_ERRORS:
            await self.close(protocol.TOO_MANY)
            return
        self.client.notice(frame("error", code=code, detail=detail, **more))

    async def _may(self, topics: list[str]) -> tuple[set[str], dict[str, list[str]]]:
        """See `_expand`; a grant that begins or ends makes this socket ask again, with nobody to ring for it."""
        allowed, rights, changes_in_s = await in_database(self._expand, topics)
        if self.asks_again is not None:
            self.asks_again.cancel()
        self.asks_again = asyncio.get_running_loop().call_later(changes_in_s, self._rights_changed, None)
        return allowed, rights

    def _expand(self, topics: list[str]) -> tuple[set[str], dict[str, list[str]], float]:
        """The hub topics behind what was asked for, as far as this person may, and the rights to show beside them."""
        assert self.user is not None
        self.user.__dict__.pop("_role_rights", None)
        rights = {"*": sorted(permissions.rights(self.user))}
        allowed: set[str] = set()
        locked_in_s = session_locks_in_s(self.session_key)
        locked = locked_in_s <= 0
        heard = snapshot.fleet(self.user, "alerts.view") if any(one.startswith("alert.") for one in topics) else []
        for topic in topics:
            kind, _, slug = topic.partition(".")
            if kind in BY_RIGHT and not slug and not locked and permissions.may(self.user, BY_RIGHT[kind]):
                allowed.add(kind)
            if kind in SHORTHANDS and not slug:
                one_of, needs = SHORTHANDS[kind]
                allowed |= {f"{one_of}.{one}" for one in snapshot.fleet(self.user, needs)}
            elif kind == "alert" and slug not in heard:
                continue
            elif kind in ("robot", "tile", "alert") and slug and (held := snapshot.robot_rights(self.user, slug)):
                allowed.add(topic)
                rights[topic] = held
        asked = min(permissions.changes_in_s(self.user), max(locked_in_s + 0.1, LOCK_ASKED_EVERY_S))
        return allowed, rights, asked

    async def _subscribe(self, message: Subscribe) -> None:
        async with self.changing_topics:
            asked = list(dict.fromkeys([*self.asked, *message.topics]))
            if len(asked) > protocol.MOST_TOPICS:
                await self._error("too_many_topics", f"A socket holds at most {protocol.MOST_TOPICS} topics.")
                return
            await self._join(message, asked)

    async def _join(self, message: Subscribe, asked: list[str]) -> None:
        assert self.client is not None
        allowed, rights = await self._may(asked)
        self.asked, self.rights = _taken(asked, allowed), rights
        new = allowed - self.client.topics
        self.client.hold_events()
        try:
            for topic in new:
                self.hub.join(self.client, topic)
            self.client.notice(frame("subscribed", topics=self.asked, rights=rights))
            unheard = sorted(set(message.topics) - set(self.asked))
            for topic in unheard:
                await self._error("not_found", f"There is no topic {topic} that you may see.", topic=topic)
            if unheard and self.user is not None:
                await in_database(refused.topics, self.scope, self.user, unheard)
            # Whoever asks again for a topic gets its whole state again.
            again = {topic for topic in message.topics if topic in allowed}
            for _, _, text in await in_database(snapshot.states, new | again):
                self.client.notice(text)
            if message.resume_from is not None:
                await self._replay(message.resume_from)
        finally:
            self.client.release_events()

    async def _replay(self, after: int) -> None:
        """The events between what the client saw last and what the hub has told already; live ones wait behind them."""
        assert self.client is not None
        upto = self.hub.last_event
        rows = await in_database(snapshot.events, after, up_to=upto)
        for event_id, topics, text in rows:
            if self.client.topics.intersection(topics):
                self.client.last_event = max(self.client.last_event, event_id)
                self.client.notice(text)
        if len(rows) >= protocol.REPLAY_LIMIT and rows[-1][0] < upto:
            self.client.notice(frame("gap", topic="journal", **{"from": rows[-1][0] + 1, "to": upto}))

    async def _unsubscribe(self, topics: list[str]) -> None:
        assert self.client is not None
        async with self.changing_topics:
            self.asked = [topic for topic in self.asked if topic not in topics]
            allowed, rights = await self._may(self.asked)
            for topic in self.client.topics - allowed:
                self.hub.leave(self.client, topic)
            self.client.notice(frame("subscribed", topics=self.asked, rights=rights))


class TelemetryConsumer(LiveConsumer):
    preselected = ("fleet",)


class MonitoringConsumer(LiveConsumer):
    preselected = ("monitoring",)


class AlertsConsumer(LiveConsumer):
    preselected = ("alerts",)


class NowhereConsumer(AsyncWebsocketConsumer):
    """An address where there is no socket: closed with a code, not with an error in our log."""

    async def connect(self) -> None:
        await self.accept()
        await self.close(protocol.NOWHERE)


def _taken(asked: list[str], allowed: set[str]) -> list[str]:
    """What of `asked` is kept, and asked for again when rights change: `fleet` from everybody, `alerts` from whoever may see some."""
    some = {kind for kind, (one_of, _) in SHORTHANDS.items() if any(one.startswith(f"{one_of}.") for one in allowed)}
    return [topic for topic in asked if topic in allowed or topic in some or topic == "fleet"]
