"""The wire, over real TCP: what may leave, what may come, and what is believed of it."""

import gc
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware import slots
from firmware.client import RobotClient
from firmware.drainer import drainer
from firmware.errors import BadReply, FirmwareError, NoReply, Rejected, Unreachable
from firmware.simulator import Simulator
from firmware.tests.conftest import MakeClient, ScriptedRobot, http
from firmware.tests.simulator_tools import eventually

Scripted = Callable[..., ScriptedRobot]
STATE = b'{"success":true,"data":{"current_state":"IDLE","total_transitions":2}}'
MOVE = {"target_m": 20.0, "speed_mps": 0.5, "acceleration_mps2": 0.5}


def move(client: RobotClient) -> Any:
    return client.command("move", MOVE, send_by=time.monotonic() + 60)


def error_of(work: Callable[[], object]) -> FirmwareError:
    with pytest.raises(FirmwareError) as caught:
        work()
    return caught.value


# --- what leaves ------------------------------------------------------------------------------------------------------
def test_headers_and_body_arrive_in_one_segment_two_hundred_times_of_two_hundred(
    observed: Simulator, client_for: MakeClient
) -> None:
    client = client_for(observed.url)
    for _ in range(200):
        assert move(client).status == 200
    assert observed.truth()["bodies_received"] == 200
    assert not observed.died


def test_a_request_carries_one_of_each_header_and_no_stranger(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(STATE))
    move(client_for(robot.url, {"admin": "t0ken"}))
    head, _, body = robot.requests[0].partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert sorted(names) == sorted(
        [b"host", b"user-agent", b"accept", b"accept-encoding", b"connection", b"authorization", b"content-type"]
        + [b"content-length"]
    )
    assert b"Authorization: Bearer t0ken" in head
    assert body == b'{"target":20.0,"velocity":0.5,"acceleration":0.5}'


def test_a_request_longer_than_the_robot_reads_is_not_sent(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(STATE))
    client = client_for(robot.url, {"admin": "t" * 300}, max_request_bytes=256)
    error = error_of(lambda: move(client))
    assert not error.may_have_acted
    assert robot.requests == []


def test_the_size_that_is_checked_is_never_below_the_size_that_leaves(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(STATE))
    client = client_for(robot.url)
    move(client)
    client.stop()
    client.read("state")
    sizes = [client._prepare_action(client.profile.commands["move"], MOVE).size, client._stop.size]
    for request, size in zip(robot.requests, [*sizes, client._reads["state"].size], strict=True):
        assert len(request) <= size <= len(request) + 40


def test_proxies_from_the_environment_are_ignored(
    scripted: Scripted, client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, robot = scripted(http(b"{}")), scripted(http(STATE))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    assert client_for(robot.url).read("state").values["machine_state"] == "idle"
    assert proxy.requests == []


def test_a_redirect_is_not_followed(scripted: Scripted, client_for: MakeClient) -> None:
    elsewhere = scripted(http(STATE))
    robot = scripted(http(b"", "302 Found", "text/html", f"Location: {elsewhere.url}/"))
    client = client_for(robot.url)
    for work in (lambda: client.read("state"), lambda: move(client)):
        assert isinstance(error_of(work), BadReply)
    assert elsewhere.requests == []
    assert len(robot.requests) == 2


def test_a_cookie_is_not_sent_back(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(STATE, "200 OK", "application/json", "Set-Cookie: a=b; Path=/"))
    client = client_for(robot.url)
    client.read("state")
    client.read("state")
    assert b"ookie" not in robot.requests[1]


# --- what comes -------------------------------------------------------------------------------------------------------
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
        (http(b"bad gateway", "502 Bad Gateway", "text/plain"), BadReply),
        (http(b"", "504 Gateway Timeout"), BadReply),
        ("close", NoReply),
        ("reset", NoReply),
        ("hang", NoReply),
        (http(b'{"success":false,"message":"no"}', "401 OK"), Rejected),
        (http(b'{"success":false,"error":"no"}', "403 OK"), Rejected),
        (http(b"no, says the robot", "409 OK", "text/plain"), Rejected),
        (http(b'{"success":false,"message":"no}', "500 OK"), Rejected),
        (http(b"", "503 OK"), Rejected),
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
    assert error.may_have_acted is (kind is not Rejected)
    assert len(robot.requests) == 1, "a command that left is never sent again"


def test_the_status_is_believed_first_and_the_raw_body_is_kept(scripted: Scripted, client_for: MakeClient) -> None:
    raw = b'{"success":true,"message":"Unauthorized",}'
    error = error_of(client_for(scripted(http(raw, "401 OK")).url).stop)
    assert isinstance(error, Rejected) and error.unauthorized
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
    import gzip

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
        for _ in range(100):
            sock.sendall(b"y")
            time.sleep(0.05)

    client = client_for(scripted(drip).url, timeout_s=0.5)
    began = time.monotonic()
    assert isinstance(error_of(lambda: move(client)), NoReply)
    assert 0.4 < time.monotonic() - began < 0.9


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
    import random

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
        try:
            move(client) if turn % 2 else client.read("state", polling=True)
        except FirmwareError:
            pass
    assert client._slots.open == 0


# --- what is tried again ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_tried_again_when_the_robot_says_not_now(
    status: int, scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(b"{}", f"{status} OK", "application/json", "Retry-After: 3600"), http(STATE))
    assert client_for(robot.url).read("state").values["machine_state"] == "idle"
    assert len(robot.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_command_is_not_tried_again_when_the_robot_says_not_now(
    status: int, scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(b"{}", f"{status} OK", "application/json", "Retry-After: 0"))
    assert isinstance(error_of(lambda: move(client_for(robot.url))), Rejected)
    assert len(robot.requests) == 1


@pytest.mark.parametrize("reply", ["hang", "reset", "close", b"garbage\r\n\r\n"], ids=str)
def test_a_read_that_left_is_not_sent_again(reply: Any, scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(reply)
    error_of(lambda: client_for(robot.url, timeout_s=0.5).read("state"))
    assert len(robot.requests) == 1


def test_a_second_attempt_that_is_not_answered_is_drained_like_a_first(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(b"{}", "503 OK"), "hang")
    client = client_for(robot.url, timeout_s=0.5)
    assert isinstance(error_of(lambda: client.read("state")), NoReply)
    time.sleep(0.3)
    assert drainer.count() == 1
    assert robot.closed_at == [], "closing it would have killed the robot"


def test_attempts_end_at_the_deadline(client_for: MakeClient, scripted: Scripted) -> None:
    robot = scripted(http(b"{}", "503 OK"))
    began = time.monotonic()
    assert error_of(lambda: client_for(robot.url, timeout_s=0.15).read("state")).status == 503
    assert time.monotonic() - began < 0.3


def test_a_refused_connection_is_tried_again_even_for_a_command(
    client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    client = client_for(f"http://127.0.0.1:{port}")
    error = error_of(lambda: move(client))
    assert isinstance(error, Unreachable) and not error.may_have_acted and error.retryable
    assert str(error) == f"The robot cannot be reached: Connection refused (127.0.0.1:{port})."
    tried = []
    monkeypatch.setattr(slots.Exchange, "begin_attempt", lambda self: tried.append(1))
    error_of(lambda: move(client))
    assert len(tried) == 2 * 2  # each attempt begins anew before it connects and before it writes


def test_a_name_that_nobody_knows_is_unreachable(client_for: MakeClient) -> None:
    error = error_of(client_for("http://no-such-robot.invalid").stop)
    assert type(error) is Unreachable
    assert "no-such-robot.invalid" in str(error)


def test_a_robot_that_accepts_nobody_is_unreachable_in_time(client_for: MakeClient) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        client = client_for(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout_s=0.2, timeout_s=0.6)
        began = time.monotonic()
        error = error_of(lambda: move(client))
        for sock in waiting:
            sock.close()
    assert type(error) is Unreachable and "in time" in str(error)
    assert time.monotonic() - began < 0.8


# --- connections that are kept ----------------------------------------------------------------------------------------
def test_where_the_profile_allows_it_a_connection_is_kept(scripted: Scripted, client_for: MakeClient) -> None:
    reply = http(STATE).replace(b"Connection: close\r\n", b"")
    robot = scripted(reply, close=False)
    client = client_for(robot.url, keep_alive=True)
    for _ in range(5):
        client.read("state")
    assert len(robot._threads) == 2, "the listener and one connection"
    client.close()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_command_on_a_kept_connection_that_the_robot_just_closed_is_neither_sent_again_nor_called_unsent(
    end: str, scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(STATE).replace(b"Connection: close\r\n", b""), end, http(STATE), close=False)
    client = client_for(robot.url, keep_alive=True)
    client.read("state")
    error = error_of(lambda: move(client))
    assert type(error) is NoReply and error.may_have_acted
    assert len(robot.requests) == 2
    client.close()


def test_a_kept_connection_is_drained_when_its_second_request_is_not_answered(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(STATE).replace(b"Connection: close\r\n", b""), "hang", close=False)
    client = client_for(robot.url, keep_alive=True, timeout_s=0.3)
    client.read("state")
    assert type(error_of(lambda: move(client))) is NoReply
    assert drainer.count() == 1
    client.close()
    gc.collect()
    time.sleep(0.2)
    assert robot.closed_at == []


# --- secrets ----------------------------------------------------------------------------------------------------------
def test_a_credential_is_in_no_error_and_no_log(
    scripted: Scripted, client_for: MakeClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "s3cr3t-t0ken"
    caplog.set_level(logging.DEBUG)
    echo = f'{{"message":"wrong token {secret}"}}'.encode()
    replies: list[Any] = ["reset", "hang", secret.encode() + b"\r\n\r\n", http(echo, "401 OK"), http(echo[1:], "401 OK")]
    for reply in replies:
        client = client_for(scripted(reply).url, {"admin": secret}, timeout_s=0.3)
        error: BaseException | None = error_of(lambda client=client: move(client))  # type: ignore[misc]
        while error is not None:
            assert secret not in str(error) + repr(error)
            error = error.__cause__
    out = capsys.readouterr()
    assert secret not in caplog.text + out.out + out.err


# --- TLS --------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "robot")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "robot.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class TlsRobot(ScriptedRobot):
    def __init__(self, certificate: Path, *replies: Any) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        super().__init__(*replies)
        self.url = self.url.replace("http:", "https:")

    def _serve(self, sock: socket.socket) -> None:
        try:
            wrapped = self._context.wrap_socket(sock, server_side=True)
        except OSError:
            sock.close()
        else:
            super()._serve(wrapped)


def test_a_robot_with_an_unknown_certificate_gets_not_a_byte(certificate: Path, client_for: MakeClient) -> None:
    robot = TlsRobot(certificate, http(STATE))
    error = error_of(lambda: move(client_for(robot.url)))
    robot.stop()
    assert type(error) is Unreachable and "certificate" in str(error)
    assert robot.requests == []


def test_tls_goes_the_same_way_one_write_no_early_close_never_sent_again(
    certificate: Path, client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    late = threading.Event()

    def answer_late(sock: socket.socket) -> None:
        late.wait(5)
        sock.sendall(http(STATE))

    def spoil(sock: ssl.SSLSocket) -> None:
        with socket.socket(fileno=sock.detach()) as plain:  # no TLS record: the client's library gives up
            plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    robot = TlsRobot(certificate, http(STATE), answer_late, spoil, spoil)
    client = client_for(robot.url, timeout_s=0.4)
    assert move(client).status == 200
    assert b'{"target":20.0' in robot.requests[0]
    assert type(error_of(lambda: move(client))) is NoReply
    assert client._slots.open == drainer.count() == 1
    late.set()
    assert eventually(lambda: client._slots.open == 0)
    for work in (lambda: move(client), lambda: client.read("state")):
        assert error_of(work).may_have_acted
        assert eventually(lambda: client._slots.open == 0)
    robot.stop()
    assert len(robot.requests) == 4
