"""The bytes that are hashed and signed, and the lines of an export. Neither Django nor a database: a stranger can check them.

A row is a dict of FIELDS, `at` as `2026-11-27T08:00:00.000000Z`, people as their numbers. A seal is a dict of SEAL_FIELDS.
"""

import base64
import binascii
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Row = dict[str, Any]
Seal = dict[str, Any]

FIELDS = (
    "id", "at", "late", "actor_id", "person_id", "origin_id", "request_id", "verb", "target", "robot", "outcome", "reason", "data",
)  # fmt: skip
SEAL_FIELDS = (
    "number", "sealed_at", "first_id", "last_id", "count", "previous", "digest", "witness", "key", "signature",
)  # fmt: skip
NOTHING = "0" * 64  # what the first seal has as `previous`
WITNESS = 16  # bytes per row: its id, and the beginning of its hash
VERSION = 1
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def content(row: Row) -> bytes:
    """What a row says, all of it but its id: one JSON array in the order of FIELDS, keys sorted, no spaces, UTF-8."""
    return _encode([row[name] for name in FIELDS[1:]]).encode("utf-8", "surrogatepass")


def line(number: int, said: bytes) -> bytes:
    """What is hashed of a row: `<id> <content>` and a newline."""
    return b"%d %s\n" % (number, said)


def content_hash(said: bytes) -> bytes:
    """The 8 bytes that the witness keeps."""
    return hashlib.sha256(said).digest()[:8]


def witness_of(number: int, said: bytes) -> bytes:
    return number.to_bytes(8, "big", signed=True) + content_hash(said)


def read_witness(witness: bytes) -> dict[int, bytes]:
    """`{id: first 8 bytes of the hash of its content}`, in the order of the rows."""
    steps = range(0, len(witness) - WITNESS + 1, WITNESS)
    return {int.from_bytes(witness[at : at + 8], "big", signed=True): witness[at + 8 : at + WITNESS] for at in steps}


class Closing:
    """Takes rows one by one and gives what their seal says of them."""

    def __init__(self) -> None:
        self.count, self.first_id, self.last_id = 0, 0, 0
        self.witness = bytearray()
        self._hash = hashlib.sha256()

    def add(self, row: Row) -> None:
        said, number = content(row), row["id"]
        self._hash.update(line(number, said))
        self.witness += witness_of(number, said)
        self.first_id = number if not self.count else self.first_id
        self.last_id = number
        self.count += 1

    def digest(self, previous: str) -> str:
        """SHA-256 over the lines of the rows and then the digest of the seal before."""
        whole = self._hash.copy()
        whole.update(previous.encode())
        return whole.hexdigest()

    def seal(self, number: int, *, sealed_at: str, previous: str) -> Seal:
        """Not signed yet."""
        return {
            "number": number,
            "sealed_at": sealed_at,
            "first_id": self.first_id,
            "last_id": self.last_id,
            "count": self.count,
            "previous": previous,
            "digest": self.digest(previous),
            "witness": base64.b64encode(self.witness).decode(),
        }


def signed_bytes(seal: Seal) -> bytes:
    """What the signature is over: everything in a seal, the witness as its SHA-256."""
    witness = hashlib.sha256(base64.b64decode(seal["witness"])).hexdigest()
    said = [seal[name] for name in SEAL_FIELDS if name not in ("witness", "signature")]
    return _encode(["robotctl seal", VERSION, *said, witness]).encode()


def sign(seal: Seal, key: Ed25519PrivateKey) -> Seal:
    """The seal with `key` (the public one) and `signature`, both base64."""
    seal = {**seal, "key": public_key(key)}
    return {**seal, "signature": base64.b64encode(key.sign(signed_bytes(seal))).decode()}


def is_signed(seal: Seal) -> bool:
    """Whether the signature holds for the key that the seal names. Whether that key is trusted is another question."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(seal["key"], validate=True))
        key.verify(base64.b64decode(seal["signature"], validate=True), signed_bytes(seal))
    except (InvalidSignature, binascii.Error, ValueError, TypeError):
        return False
    return True


def private_key(text: str) -> Ed25519PrivateKey:
    """From base64 of the 32 raw bytes. Raises ValueError."""
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))


def public_key(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def head_line(*, exported_at: str, filtered_by: dict[str, Any], complete: bool, public_keys: list[str]) -> str:
    """The first line of an export. `complete`: all rows from its first seal on are in it."""
    head = {"journal": "robotctl", "version": VERSION, "exported_at": exported_at, "filter": filtered_by}
    return _encode({**head, "complete": complete, "public_keys": public_keys}) + "\n"


def row_line(row: Row, shown: dict[str, Any] | None = None) -> str:
    """`row` is what is sealed; `shown` (names, addresses) is for the reader and is vouched for by nobody."""
    body = {"row": {name: row[name] for name in FIELDS}}
    return _encode(body if shown is None else {**body, "shown": shown}) + "\n"


def seal_line(seal: Seal) -> str:
    """Stands right after the last row of its range."""
    return _encode({"seal": {name: seal[name] for name in SEAL_FIELDS}}) + "\n"


def end_line(*, rows: int, seals: int, unsealed: int) -> str:
    """The last line, without which a file counts as cut off."""
    return _encode({"end": {"rows": rows, "seals": seals, "unsealed": unsealed}}) + "\n"
