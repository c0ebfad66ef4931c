"""Commands that name a job: by what it is asked for, what is believed of it, and how it ends."""

from typing import Any

import pytest

from accounts.models import JournalEntry
from firmware import jobs
from firmware.errors import BadReply
from firmware.models import Command
from firmware.tests.conftest import http
from firmware.tests.machines.obeying import BELIEVED, FAULT, JOB, Machine, result, said
from firmware.tests.machines.obeying import machine as machine
from firmware.tests.machines.obeying import told as told
from robotctl.tests.fixtures import until


def stage(stage: str, why: str | None = None) -> bytes:
    return said({"stage": stage, "why": why})


NAMED = said({"job": "j-1"}, "202 Accepted")
WITHOUT = "confirm_within_s = 0.6\n" + JOB


@pytest.mark.parametrize(("end", "verb"), [("done", "command.done"), ("failed", "command.job_failed")])
def test_a_job_that_is_worked_at_confirms_its_command_and_is_followed_to_its_end(
    end: str, verb: str, machine: Machine, told: Any
) -> None:
    machine.says |= {"POST /go": NAMED, "GET /jobs/j-1": stage("running")}
    command = told(WITHOUT)
    assert (*result(command), command.done_at) == ("confirmed", None, None)
    machine.says["GET /jobs/j-1"] = stage(end, "wheel slipped")
    entry = until(lambda: JournalEntry.objects.filter(verb__startswith="command.").order_by("pk")[3:].first())
    why = "wheel slipped" if end == "failed" else None
    assert (entry.verb, entry.data["job"], entry.data.get("why")) == (verb, "j-1", why)
    assert (Command.objects.get(pk=command.pk).done_at is not None) is (end == "done")


ODD_JOBS = {
    "failed": (NAMED, stage("failed", "held"), "failed", "job_failed", "The robot's job j-1 failed. held"),
    "unnamed": (said({"ok": 1}), b"", "outcome_unknown", "bad_reply", "names no job"),
    "not begun": (NAMED, stage("queued"), "outcome_unknown", "job_waiting", "not begun within 0.6 s"),
    "forgotten": (NAMED, http(b"no such job", "404 No", "text/plain"), "outcome_unknown", "unreadable", "no such job"),
    "in doubt": (FAULT, stage("running"), "outcome_unknown", "rejected", "link fault"),
    "gateway": (http(b"", "502 Bad"), stage("running"), "outcome_unknown", "unreachable", "A gateway"),
    "garbage": (http(b"garbage"), stage("running"), "outcome_unknown", "bad_reply", "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "job", "status", "code", "words"), ODD_JOBS.values(), ids=ODD_JOBS)
def test_a_job_that_nobody_is_seen_to_work_at_confirms_nothing(
    answer: bytes, job: bytes, status: str, code: str, words: str, machine: Machine, told: Any
) -> None:
    machine.says |= {"POST /go": answer, "GET /jobs/j-1": job}
    command = told(WITHOUT)
    assert result(command) == (status, code)
    assert words in command.detail


def test_a_job_and_a_state_must_both_show_it(machine: Machine, told: Any) -> None:
    machine.says |= {"POST /go": NAMED, "GET /jobs/j-1": stage("running")}
    assert result(told(BELIEVED + JOB)) == ("failed", "not_obeyed")


LOCATED = JOB.replace('id = "job", path = "/jobs/$job", ', "")
AT = {"path": "/jobs/j-1", "whole": "{url}/jobs/j-1", "relative": "jobs/j-1"}
ELSEWHERE = {
    "machine": "http://10.9.9.9/jobs/j-1",
    "port": "http://127.0.0.1:9/jobs/j-1",
    "host": "//10.9.9.9/jobs/j-1",
}


def located(address: str, machine: Machine) -> bytes:
    return http(b"", "202 Accepted", "text/plain", f"Location: {address.format(url=machine.robot.url)}")


@pytest.mark.parametrize("address", AT.values(), ids=AT)
def test_a_job_may_be_named_by_its_address(address: str, machine: Machine, told: Any) -> None:
    machine.says |= {"POST /go": located(address, machine), "GET /jobs/j-1": stage("running")}
    command = told("confirm_within_s = 0.6\n" + LOCATED)
    assert result(command) == ("confirmed", None)
    machine.says["GET /jobs/j-1"] = stage("done")
    until(lambda: Command.objects.get(pk=command.pk).done_at is not None)


@pytest.mark.parametrize("address", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_job_that_is_said_to_be_on_another_machine_is_not_asked_for(address: str, machine: Any, told: Any) -> None:
    machine.says |= {"POST /go": located(address, machine), "GET /jobs/j-1": stage("running")}
    command = told("confirm_within_s = 0.6\n" + LOCATED)
    assert result(command) == ("outcome_unknown", "unreadable")
    assert "an address that is not its own" in command.detail
    assert not any(request.startswith(b"GET /jobs") for request in machine.robot.requests)


def test_a_robot_behind_a_prefix_names_its_jobs_with_and_without_it() -> None:
    base = "http://127.0.0.1:8000/units/7"
    assert jobs.path_of(base, f"{base}/jobs/1?x=$a#top") == "/jobs/1?x=%24a"
    assert jobs.path_of(base, "/units/7/jobs/1") == "/jobs/1"
    with pytest.raises(BadReply):
        jobs.path_of(base, "/units/8/jobs/1")
    with pytest.raises(BadReply, match="no address"):
        jobs.path_of(base, "http://[bad")


def test_a_job_may_be_told_in_text(machine: Machine, told: Any) -> None:
    in_text = JOB.replace('state = "stage"', 'state = "stage", pattern = "J=(?P<stage>\\\\w+)"')
    machine.says |= {"POST /go": NAMED, "GET /jobs/j-1": http(b"J=running, 3 of 7", kind="text/plain")}
    command = told("confirm_within_s = 0.6\n" + in_text)
    assert result(command) == ("confirmed", None)
    machine.says["GET /jobs/j-1"] = http(b"J=done", kind="text/plain")
    until(lambda: Command.objects.get(pk=command.pk).done_at is not None)
