"""Silence and absence, made by a proxy: what is unanswered is sent once and waited for, and a robot that returns is live."""

import time
from typing import Any

import pytest

from firmware import conditions
from firmware.drainer import drainer
from firmware.errors import Busy, NoReply
from firmware.language.words import MACHINE_STATE
from firmware.tests.contract.proxy import Proxy
from firmware.tests.contract.subject import Subject, milliseconds

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_read_without_a_reply_does_no_harm(proxy: Proxy, proxied: Subject, saw: Any) -> None:
    """read without a reply"""
    client, name = proxied.client, proxied.spec.state_read
    client.read(name)
    proxy.withhold()
    began = time.monotonic()
    with pytest.raises(NoReply):
        client.read(name)
    took = milliseconds(began)
    if proxied.spec.transport.drain:
        with pytest.raises(Busy):  # nothing is sent to a robot that has not answered
            client.read(name)
    assert proxy.requests == [proxy.requests[0]] * 2, "it was sent again"
    words = _answered_at_last(proxy, proxied)
    client.read(name)
    saw(f"given up after {took}, sent once, {words}; then it answers again")


def test_a_command_without_a_reply_is_sent_once_and_a_stop_goes_past_it(
    proxy: Proxy, acting_proxied: Subject, saw: Any
) -> None:
    """command without a reply"""
    subject, name = acting_proxied, _something_to_tell(acting_proxied)
    params = subject.sample(name)
    proxy.withhold()
    command = subject.send(name, params)
    assert (command.status, command.code) == ("outcome_unknown", "no_reply"), f"{command.status}: {command.detail}"
    assert command.sent_at is not None and command.ended_at is not None
    saw(f"{name}: outcome unknown after {(command.ended_at - command.sent_at).total_seconds() * 1000:.0f} ms")

    before = len(proxy.requests)
    result = subject.press_stop()
    assert result.sent_at is not None and len(proxy.requests) > before, f"no stop was sent: {result.detail}"
    values = conditions.values_of(subject.spec, result.seen)
    assert conditions.hold(subject.spec.stop.stopped, values), f"the stop had no effect: {result.detail}"
    if command.kind == "motion":
        assert result.status == "sent", "a stop is not confirmed while a motion request is unanswered"
    saw(f"delivered, and it reads stopped; robotctl says {result.status}", title="stop past the silence")

    assert proxy.requests.count(proxy.held[0]) == 1, "the command was sent more than once"
    words = _answered_at_last(proxy, subject)
    assert subject.look(1)[MACHINE_STATE]["quality"] == "live"
    if subject.spec.transport.drain:  # without the reply, a motion counts as under way for two minutes more
        subject.wait_for(lambda: subject.look(1)["stop"]["status"] == "confirmed")
        words += ", and the stop is confirmed"
    saw(f"sent once, {words}; then it answers", title="afterwards")


def _answered_at_last(proxy: Proxy, subject: Subject) -> str:
    """Let the reply through; what became of the socket that waited for it, in words."""
    proxy.release()
    assert drainer.wait(5) == 0
    if not subject.spec.transport.drain:
        return "then given up, as the profile allows"
    assert not proxy.hung_up, "robotctl hung up before the robot had answered"
    return "the socket kept until the reply came"


def _something_to_tell(subject: Subject) -> str:
    """A command that it takes now, a motion before others."""
    allowed = subject.document()["commands"]
    spec = subject.spec.commands
    found = sorted((name for name in spec if allowed[name]["allowed"]), key=lambda name: spec[name].kind != "motion")
    if not found:
        pytest.skip(f"no command is allowed while it is {subject.machine_state}")
    return found[0]


def test_a_robot_that_was_away_comes_back_live(proxy: Proxy, proxied: Subject, polling: Any, saw: Any) -> None:
    """away and back"""
    polling()
    proxied.wait_for(lambda: proxied.document()["mode"] == "online", timeout_s=15)
    value = proxied.told(MACHINE_STATE)["value"]
    proxy.refuse()
    began = time.monotonic()
    proxied.wait_for(lambda: proxied.document()["mode"] in ("degraded", "offline"), timeout_s=15)
    noticed = milliseconds(began)
    kept = proxied.told(MACHINE_STATE)
    assert kept["value"] == value, "the last value was not kept"
    proxied.wait_for(lambda: proxied.told(MACHINE_STATE)["quality"] == "stale", timeout_s=20)
    stale = proxied.told(MACHINE_STATE)
    assert stale["value"] == value and stale["age_s"] > kept["age_s"], "the last value does not age"
    words = proxied.document()["link"]["last_error"]
    assert words

    proxy.accept()
    began = time.monotonic()
    proxied.wait_for(lambda: proxied.document()["mode"] == "online", timeout_s=15)
    proxied.wait_for(lambda: proxied.told(MACHINE_STATE)["quality"] == "live", timeout_s=15)
    saw(f"noticed after {noticed}: {words}")
    saw(f"{value} kept, stale after {stale['age_s']:.1f} s", title="values while away")
    saw(f"online and live {milliseconds(began)} after it could be reached", title="back")
