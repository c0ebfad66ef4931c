"""After all that: the robot is there, and as it was found."""

from typing import Any

import pytest

from firmware.tests.contract.kinds import Machine
from firmware.tests.contract.subject import Subject

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_has_survived(machine: Machine, subject: Subject, saw: Any) -> None:
    """alive afterwards"""
    assert not machine.died(), "its firmware has died: a client hung up before it was answered"
    document = subject.look()
    assert document["mode"] == "online", document["link"]["last_error"]
    saw(f"{document['mode']}, {subject.machine_state}")
