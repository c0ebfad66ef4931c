"""Leaked passwords are looked up in a file that is never read whole; one that cannot be trusted is told at start."""

import hashlib
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from accounts import leaked
from robotctl import environment

LEAKED = "seven-otters-paint-clocks"


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def written(path: Path, lines: list[str], end: str = "\r\n") -> Path:
    path.write_bytes((end.join(lines) + end).encode())
    return path


def lines_with(count: int, *passwords: str) -> list[str]:
    random.seed(count)
    hashes = {sha1(one) for one in passwords} | {sha1(f"{count}-{number}") for number in range(count)}
    return [f"{one}:{random.randint(1, 10**8)}" for one in sorted(hashes)]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1_000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_of_the_list_is_found_and_nothing_else(tmp_path: Path, count: int, end: str) -> None:
    path = written(tmp_path / "list.txt", lines_with(count), end)
    assert all(leaked.is_in(f"{count}-{number}", path) for number in range(count))
    assert not any(leaked.is_in(f"other-{number}", path) for number in range(500))
    leaked.look_through(path)


def test_small_letters_and_no_end_of_the_last_line_are_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines_with(50)).lower())
    assert all(leaked.is_in(f"50-{number}", path) for number in range(50))


def test_a_list_of_many_gigabytes_is_looked_up_in_few_small_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "list.txt", lines_with(200_000, LEAKED))
    reads: list[int] = []
    pread = os.pread

    def counting(descriptor: int, length: int, at: int) -> bytes:
        reads.append(length)
        return pread(descriptor, length, at)

    monkeypatch.setattr(os, "pread", counting)
    assert leaked.is_in(LEAKED, path)
    assert len(reads) <= 30
    assert sum(reads) < 8_000
    began = time.perf_counter()
    for number in range(200):
        leaked.is_in(f"200000-{number}", path)
    assert (time.perf_counter() - began) / 200 < 0.01


@pytest.mark.parametrize(("content", "words"), [
    ("\r\n".join(reversed(lines_with(1_000))), "not ordered by hash"),
    ("\n".join(f"{one}" for one in range(1_000)), "no line"),
    ("x" * 10_000, "no line"),
    ("", "empty"),
])  # fmt: skip
def test_a_file_that_is_no_such_list_stops_the_start(settings: Any, tmp_path: Path, content: str, words: str) -> None:
    settings.BREACHED_PASSWORDS = tmp_path / "list.txt"
    settings.BREACHED_PASSWORDS.write_text(content)
    with pytest.raises(SystemCheckError, match=words):
        call_command("check")


def test_a_file_that_is_not_there_stops_the_start(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    with pytest.raises(ImproperlyConfigured, match="ROBOTCTL_BREACHED_PASSWORDS"):
        environment.read({"ROBOTCTL_BREACHED_PASSWORDS": str(path), "ROBOTCTL_VAR": str(tmp_path)})
    settings.BREACHED_PASSWORDS = path
    with pytest.raises(SystemCheckError, match="cannot be read"):
        call_command("check")


@pytest.mark.django_db(transaction=True)
def test_a_leaked_password_is_refused_and_without_the_list_the_others_apply(
    api: Any, settings: Any, tmp_path: Path
) -> None:
    ada = api("ada")

    def make(name: str, password: str) -> Any:
        return ada.post("/api/v1/users/", {"username": name, "password": password, "role": "guest"}, format="json")

    assert make("zoe", LEAKED).status_code == 201
    settings.BREACHED_PASSWORDS = written(tmp_path / "list.txt", lines_with(100, LEAKED))
    refused = make("yan", LEAKED)
    assert refused.status_code == 400
    assert "has leaked" in refused.json()["errors"]["password"][0]
    assert make("yan", "eight-badgers-fold-lamps").status_code == 201
    settings.BREACHED_PASSWORDS.unlink()
    assert "cannot be read" in make("xia", "eight-badgers-fold-lamps").json()["errors"]["password"][0]
