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
END_FIELDS = ("rows", "seals", "unsealed", "sha256", "key", "signature")
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
        return _holds(seal["key"], seal["signature"], signed_bytes(seal))
    except (ValueError, TypeError):
        return False


def _holds(key: str, signature: str, said: bytes) -> bool:
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(base64.b64decode(signature, validate=True), said)
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
    """`row` is what is sealed; `shown` (names, addresses) is for the reader: no seal has it, only the file's signature."""
    body = {"row": {name: row[name] for name in FIELDS}}
    return _encode(body if shown is None else {**body, "shown": shown}) + "\n"


def seal_line(seal: Seal) -> str:
    """Stands right after the last row of its range."""
    return _encode({"seal": {name: seal[name] for name in SEAL_FIELDS}}) + "\n"


def end_line(end: dict[str, Any]) -> str:
    """The last line, without which a file counts as cut off."""
    return _encode({"end": end}) + "\n"


def as_bytes(text: str) -> bytes:
    """A line as it stands in a file. Half a character, which JSON allows, is kept."""
    return text.encode("utf-8", "surrogatepass")


class File:
    """A file that is written line by line: hashed as it goes, signed at its end."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def line(self, text: str) -> str:
        self._hash.update(as_bytes(text))
        return text

    def end(self, key: Ed25519PrivateKey, *, rows: int, seals: int, unsealed: int) -> str:
        """The last line: it counts what was written, and vouches for every byte before it."""
        end = {
            "rows": rows,
            "seals": seals,
            "unsealed": unsealed,
            "sha256": self._hash.hexdigest(),
            "key": public_key(key),
        }
        return end_line({**end, "signature": base64.b64encode(key.sign(_end_bytes(end))).decode()})


def end_is_signed(end: dict[str, Any], written: bytes) -> bool:
    """Whether the end's signature holds for the key that it names, and its line is written as we write it."""
    try:
        signature = base64.b64encode(base64.b64decode(end["signature"], validate=True)).decode()
        spelled = as_bytes(end_line({**end, "signature": signature}))  # base64 can be written in more than one way
        return spelled == written and _holds(end["key"], end["signature"], _end_bytes(end))
    except (ValueError, TypeError, RecursionError):
        return False


def _end_bytes(end: dict[str, Any]) -> bytes:
    said = {name: value for name, value in end.items() if name != "signature"}
    return as_bytes(_encode(["robotctl file", VERSION, said]))
