"""The WebSocket protocol: what comes in, typed and bounded, and the frames that go out.

Clients send `subscribe`, `unsubscribe`, `ping`; the server sends `hello`, `subscribed`, `snapshot`, `state`, `event`,
`gap`, `dropped`, `pong`, `error`. Everything is a JSON text frame with a `type`.
"""

from typing import Annotated, Any

import msgspec

LONGEST_MESSAGE = 16 * 1024
MOST_TOPICS = 1_000
HEARTBEAT_S = 10
REPLAY_LIMIT = 1_000

NOWHERE = 4404
NOT_SIGNED_IN = 4401
WITHDRAWN = 4403
SILENT = 4408
TOO_SLOW = 4409
TOO_MANY = 4429
RESTARTING = 1012

Topic = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern="^[a-z]+([.][a-z0-9-]+)?$")]


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe", forbid_unknown_fields=True):
    """Join `topics`; with `resume_from` (the last event id seen) the events after it are replayed."""

    topics: Annotated[list[Topic], msgspec.Meta(max_length=MOST_TOPICS)]
    resume_from: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Unsubscribe(msgspec.Struct, tag_field="type", tag="unsubscribe", forbid_unknown_fields=True):
    """Leave `topics`."""

    topics: Annotated[list[Topic], msgspec.Meta(max_length=MOST_TOPICS)]


class Ping(msgspec.Struct, tag_field="type", tag="ping", forbid_unknown_fields=True):
    """Answered by `pong` with the same id and the server's time."""

    id: int | str | None = None


Message = Subscribe | Unsubscribe | Ping
_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


class BadMessage(Exception):
    """What came in is not of the protocol."""


def parse(text: str | None) -> Message:
    """A client's frame. Raises BadMessage in words."""
    if text is None:
        raise BadMessage("Send text frames.")
    if len(text) > LONGEST_MESSAGE:
        raise BadMessage(f"A message has at most {LONGEST_MESSAGE} characters.")
    try:
        message: Message = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadMessage(str(error)) from error
    return message


def frame(kind: str, **content: Any) -> str:
    """One frame to a client."""
    return _encoder.encode({"type": kind, **content}).decode()
