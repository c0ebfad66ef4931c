"""What a robot's answer says: its status is believed first, its words are made fit to be shown."""

import base64
import re
from typing import Any
from urllib.parse import quote

import msgspec

from firmware import replies
from firmware.errors import BadReply, NotAllowed, NotFound, NotNow, NotReached, Rejected
from firmware.language.reads import Ask, Replies
from firmware.transport import Answer

TEXT_AT_MOST = 4096  # bytes of a text reply that a pattern is tried on

BROKE = 500  # something broke in it; how far it had come, it does not say


class Answers:
    """Reads one robot's answers; `secrets` are its credentials, which get nowhere even if it repeats them."""

    def __init__(self, language: Replies, secrets: list[str]) -> None:
        self._language = language
        plain = [secret for secret in secrets if secret]
        spelled = [base64.b64encode(secret.encode()).decode() for secret in plain] + [quote(s, safe="") for s in plain]
        self._secrets = sorted({*plain, *spelled}, key=len, reverse=True)

    def told(self, ask: Ask, answer: Answer) -> Any:
        """The reply to what was asked: JSON, or text that a pattern takes apart. Raises Rejected, BadReply."""
        if 200 <= answer.status < 300 and not answer.body.strip() and ask.empty is not None:
            return ask.empty
        if ask.pattern is None:
            return self.parse(answer, must_be_json=True, accept=ask.accept)
        if answer.status not in ask.accept:
            self._believe_status(answer, None, [])
            self._believe_text(answer, [])
        found = re.search(ask.pattern, _text(answer))
        if found is None:
            words = f"The reply does not fit the profile's pattern; it says {self.printable(_text(answer)[:120])!r}."
            raise BadReply(words, status=answer.status, body=answer.body)
        return found.groupdict()

    def parse(
        self,
        answer: Answer,
        *,
        must_be_json: bool,
        accept: list[int] | None = None,
        in_doubt: list[int] | None = None,
        moves: bool = False,
    ) -> Any:
        """The reply's JSON. `moves`: of a request that may have set the robot in motion. Raises Rejected, BadReply."""
        try:
            reply = msgspec.json.decode(answer.body) if answer.body else None
            readable = answer.body != b""
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or brackets without end
            reply, readable = None, False
        if accept and answer.status in accept and readable:
            return reply
        doubted = [*(self._language.in_doubt if in_doubt is None else in_doubt), *([BROKE] if moves else [])]
        self._believe_status(answer, reply, doubted)
        if not readable:
            self._believe_text(answer, doubted)
        promised = "html" in answer.content_type or "json" in answer.content_type
        if not readable and (must_be_json or (answer.body and promised)):
            said = "" if "html" in answer.content_type else self.printable(_text(answer)[:80])
            words = f"The reply is not JSON{f'; it says {said!r}' if said else ''}."
            raise BadReply(words, status=answer.status, body=answer.body)
        if replies.find(self._language.refused, reply) is True:
            words = self.message(reply) or "The robot refused."
            raise Rejected(words, status=answer.status, body=answer.body, in_doubt=answer.status in doubted)
        return reply

    def _believe_status(self, answer: Answer, reply: Any, in_doubt: list[int]) -> None:
        status, language = answer.status, self._language
        if status in language.unreachable:  # what the robot behind it did is unknown
            raise NotReached(f"A gateway before the robot answered {status}.", status=status, body=answer.body)
        if status >= 400:
            text = "" if "html" in answer.content_type else answer.body[:300].decode(errors="replace")
            words = self.message(reply) or self.printable(text) or f"The robot answered {status}."
            kinds = ((language.not_now, NotNow), (language.not_allowed, NotAllowed), (language.not_found, NotFound))
            kind: type[Rejected] = next((kind for statuses, kind in kinds if status in statuses), Rejected)
            raise kind(words, status=status, body=answer.body, in_doubt=status in in_doubt)
        if not 200 <= status < 300:
            words = f"The robot answered {status}; redirects are not followed."
            raise BadReply(words, status=status, body=answer.body)

    def _believe_text(self, answer: Answer, in_doubt: list[int]) -> None:
        """A text that says no, although its status says yes."""
        pattern, text = self._language.refused_text, _text(answer)
        if pattern and re.search(pattern, text):
            words = self.printable(text[:300]) or "The robot refused."
            raise Rejected(words, status=answer.status, body=answer.body, in_doubt=answer.status in in_doubt)

    def message(self, reply: Any) -> str:
        """The robot's own words in a reply, or nothing."""
        found = replies.find(self._language.message, reply) if isinstance(reply, dict) else None
        return self.printable(found[:300]) if isinstance(found, str) else ""

    def printable(self, text: str) -> str:
        """A robot's words, fit for a log and a database."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return replies.printable(text)


def _text(answer: Answer) -> str:
    return answer.body[:TEXT_AT_MOST].decode(errors="replace")
