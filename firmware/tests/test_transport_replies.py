"""What may come over the wire, and what is believed of it: every bad reply has its name."""

import contextlib
import gzip
import random
import socket
import time
from typing import Any

import pytest

from firmware.errors import BadReply, FirmwareError, NoReply, NotAllowed, NotFound, NotNow, NotReached, Rejected
from firmware.tests.conftest import MakeClient, http
from firmware.tests.test_transport import STATE, Scripted, error_of, move


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"\x16\x03\x01\x00\x00\x00garbage\xff\xfe", BadReply),
        (b"HTTP/9.9 200 OK\r\n\r\n", BadReply),
        (b"HTTP/1.1 abc OK\r\n\r\n", BadReply),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", BadReply),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", BadReply),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n{}", BadReply),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", BadReply),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", BadReply),
        (http(STATE)[:-10], BadReply),
        (http(b"<html>hello</html>", kind="text/html"), BadReply),
        (http(b"not json"), BadReply),
        (http(b'{"a":"\xff"}'), BadReply),
        (http(b"[" * 100_000), BadReply),
        (http(b"x" * 300_000), BadReply),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 400_000, BadReply),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, BadReply),
        (b"HTTP/1.1 101 Switching\r\nContent-Type: application/json\r\n\r\n", BadReply),
        (http(b"", "302 Found"), BadReply),
        (http(b"bad gateway", "502 Bad Gateway", "text/plain"), NotReached),
        (http(b"", "504 Gateway Timeout"), NotReached),
        ("close", NoReply),
        ("reset", NoReply),
        ("hang", NoReply),
        (http(b'{"success":false,"message":"no"}', "401 OK"), NotAllowed),
        (http(b'{"success":false,"error":"no"}', "403 OK"), NotAllowed),
        (http(b"", "404 OK"), NotFound),
        (http(b"no, says the robot", "409 OK", "text/plain"), NotNow),
        (http(b'{"success":false,"message":"no}', "500 OK"), Rejected),
        (http(b"", "503 OK"), NotNow),
        (http(b'{"success":false,"message":"no"}'), Rejected),
        (http(b'{"success":false}'), Rejected),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, bytes) else None,
)
def test_every_bad_reply_to_a_command_has_its_name_and_says_whether_the_robot_may_have_acted(
    reply: Any, kind: type[FirmwareError], scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(reply)
    error = error_of(lambda: move(client_for(robot.url, timeout_s=0.5)))
    assert type(error) is kind
    broke = b" 500 " in reply if isinstance(reply, bytes) else False  # how far it had come, it does not say
    assert error.may_have_acted is (broke or not issubclass(kind, Rejected))
    assert error.code == ("unreachable" if kind is NotReached else kind.code)
    assert len(robot.requests) == 1, "a command that left is never sent again"


def test_the_status_is_believed_first_and_the_raw_body_is_kept(scripted: Scripted, client_for: MakeClient) -> None:
    raw = b'{"success":true,"message":"Unauthorized",}'
    error = error_of(client_for(scripted(http(raw, "401 OK")).url).stop)
    assert isinstance(error, NotAllowed)
    assert (error.status, error.body) == (401, raw)
    assert error_of(client_for(scripted(http(STATE, "409 OK")).url).stop).status == 409


def test_the_words_of_a_refusal_are_the_robots_own(scripted: Scripted, client_for: MakeClient) -> None:
    said = http(b'{"success":false,"error":"door\\nopen\\u0000\\u001b[31m"}', "409 OK")
    assert str(error_of(client_for(scripted(said).url).stop)) == "door open  [31m"
    assert str(error_of(client_for(scripted(http(b"<h1>x</h1>", "500 OK", "text/html")).url).stop)) == (
        "The robot answered 500."
    )


def test_an_empty_reply_is_enough_for_an_action_and_not_for_a_read(scripted: Scripted, client_for: MakeClient) -> None:
    client = client_for(scripted(b"HTTP/1.1 204 No Content\r\n\r\n").url)
    assert client.stop().status == 204
    assert isinstance(error_of(lambda: client.read("state")), BadReply)


def test_a_compressed_reply_is_not_unpacked(scripted: Scripted, client_for: MakeClient) -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    robot = scripted(http(bomb, "200 OK", "application/json", "Content-Encoding: gzip"))
    began = time.process_time()
    error = error_of(lambda: client_for(robot.url).read("state"))
    assert isinstance(error, BadReply) and error.body[:2] == b"\x1f\x8b"
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\nX-Long: ", http(STATE)[:-60]], ids=["headers", "body"])
def test_one_deadline_holds_over_a_reply_that_drips(part: bytes, scripted: Scripted, client_for: MakeClient) -> None:
    def drip(sock: socket.socket) -> None:
        sock.sendall(part)
        for _ in range(200):
            sock.sendall(b"y")
            time.sleep(0.05)

    client = client_for(scripted(drip).url, timeout_s=0.5)
    began = time.monotonic()
    assert isinstance(error_of(lambda: move(client)), NoReply)
    assert 0.4 < time.monotonic() - began < 5  # the drip goes on for ten


def test_a_reply_without_end_is_cut_off_at_the_bound_also_when_a_read_is_tried_again(
    scripted: Scripted, client_for: MakeClient
) -> None:
    sent = []

    def flood(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 503 OK\r\n\r\n")
        for _ in range(1000):
            sent.append(sock.send(b" " * 65536))

    client = client_for(scripted(flood).url, max_reply_bytes=2048)
    assert isinstance(error_of(lambda: client.read("state")), BadReply)
    assert sum(sent) < 16_000_000  # what fits into the kernel's buffers


def test_random_replies_raise_nothing_but_our_own_errors(scripted: Scripted, client_for: MakeClient) -> None:
    rng = random.Random(1)
    whole = http(STATE, "200 OK", "application/json", "Retry-After: soon", "Transfer-Encoding: chunked")
    replies = []
    for _ in range(300):
        bent = bytearray(rng.choice([whole, http(STATE), http(STATE, "503 OK", "a/b", "Retry-After: " + "9" * 5000)]))
        for _ in range(rng.randrange(1, 12)):
            bent[rng.randrange(len(bent))] = rng.randrange(256)
        replies.append(bytes(bent[: rng.randrange(1, 2 * len(bent))]))
    client = client_for(scripted(*replies).url, timeout_s=0.3)
    for turn in range(300):
        with contextlib.suppress(FirmwareError):
            move(client) if turn % 2 else client.read("state", polling=True)
    assert client._slots.open == 0
