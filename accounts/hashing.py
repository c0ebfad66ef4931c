"""How a password is hashed: slowly, and one at a time.

A guess costs one core for a moment and 100 MiB; fifty at once would take every core from the stop button, and 5 GiB.
"""

import threading
from contextlib import AbstractContextManager, nullcontext

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection

TURN = threading.BoundedSemaphore(1)  # in this process


def _turn() -> AbstractContextManager[object]:
    """Who has begun a transaction may hold the only lock there is for writing: they do not queue behind people who sign in."""
    return nullcontext() if connection.in_atomic_block else TURN


class OneAtATime(Argon2PasswordHasher):
    parallelism = 1  # lanes: each is a thread

    def encode(self, password: str, salt: str) -> str:
        with _turn():
            return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        with _turn():
            return bool(super().verify(password, encoded))

    def must_update(self, encoded: str) -> bool:
        """More lanes cost a guesser no less: such a hash stays, since a new one would end the person's other sessions."""
        was = self.decode(encoded)
        return bool(was["memory_cost"] < self.memory_cost or was["time_cost"] < self.time_cost)
