"""TLS goes the same way: nothing leaves before the certificate is known, one write, no early close, never sent again."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.drainer import drainer
from firmware.errors import NoReply, Unreachable
from firmware.tests.conftest import MakeClient, ScriptedRobot, http
from firmware.tests.simulator_tools import eventually
from firmware.tests.test_transport import STATE, error_of, move


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
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
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
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
