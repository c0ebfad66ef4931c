"""The first minute on a strange machine: what is missing is said in one line, what was interrupted is made good."""

import ast
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from robotctl import bootstrap


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that needs no package at all."""
    (tmp_path / "robotctl").mkdir()
    shutil.copy(bootstrap.__file__, tmp_path / "robotctl" / "bootstrap.py")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("# nothing\n")
    return tmp_path


@pytest.fixture
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module itself, looking at that checkout."""
    monkeypatch.setattr(bootstrap, "ROOT", checkout)
    monkeypatch.setattr(bootstrap, "STAMP", checkout / ".venv" / "robotctl-stamp")
    monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
    (checkout / ".venv").mkdir()
    return checkout


def start(checkout: Path, task: str = "venv", **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "robotctl/bootstrap.py", task],
        cwd=checkout,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def told(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        bootstrap.check_python()
    assert ended.value.code == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_an_old_python_can_read_the_file_that_tells_it_is_old() -> None:
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 7))


def test_an_old_python_is_told_which_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("robotctl.bootstrap.sys.version_info", (3, 9, 2))
    assert "needs Python 3.11 or newer, this is 3.9.2" in told(capsys)


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_missing_venv_module_names_the_package(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "robotctl.bootstrap.importlib.util.find_spec", lambda name: None if name == module else object()
    )
    line = told(capsys)
    assert f"'{module}'" in line
    assert "apt install python3-venv" in line


def test_an_unwritable_folder_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("robotctl.bootstrap.os.access", lambda *_: False)  # root may write everywhere
    assert f"Cannot write to {bootstrap.ROOT}" in told(capsys)


def test_an_environment_for_development_also_serves_to_run(here: Path) -> None:
    assert not bootstrap.is_ready("run")
    bootstrap.STAMP.write_text(f"dev:{bootstrap.digest('dev')}")
    assert bootstrap.is_ready("dev")
    assert bootstrap.is_ready("run")
    bootstrap.STAMP.write_text(f"run:{bootstrap.digest('run')}")
    assert not bootstrap.is_ready("dev")


def test_changed_requirements_make_the_environment_stale(here: Path) -> None:
    bootstrap.STAMP.write_text(f"dev:{bootstrap.digest('dev')}\nrun:{bootstrap.digest('run')}")
    (here / "requirements-dev.txt").write_text("other\n")
    assert bootstrap.is_ready("run")
    assert not bootstrap.is_ready("dev")
    (here / "requirements.txt").write_text("other\n")
    assert not bootstrap.is_ready("run")


def test_an_unknown_task_is_refused(checkout: Path) -> None:
    process = start(checkout, "rnu")
    assert "Unknown task 'rnu'" in process.communicate(timeout=30)[0]
    assert process.returncode == 1


@pytest.mark.system
def test_the_second_start_installs_nothing_and_an_interrupted_first_is_made_good(checkout: Path) -> None:
    first, at_the_same_time = start(checkout), start(checkout)
    outputs = [process.communicate(timeout=120)[0] for process in (first, at_the_same_time)]
    assert [process.returncode for process in (first, at_the_same_time)] == [0, 0]
    assert sorted("Making" in output for output in outputs) == [False, True], "only one of the two installs"
    assert all("is ready" in output for output in outputs)

    begun = time.monotonic()
    assert "Installing" not in start(checkout).communicate(timeout=30)[0]
    assert time.monotonic() - begun < 2

    (checkout / ".venv" / "robotctl-stamp").unlink()  # as an interrupted installation leaves it
    (checkout / ".venv" / "half-made").touch()
    assert "Installing" in start(checkout).communicate(timeout=120)[0]
    assert not (checkout / ".venv" / "half-made").exists()


@pytest.mark.system
def test_a_failing_pip_shows_its_last_lines_and_what_it_needs(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("a-package-nobody-has==1\n")
    process = start(checkout, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0", PIP_NO_INDEX="0")
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert "a-package-nobody-has" in output
    assert output.splitlines()[-1].startswith("pip could not install the packages")
    assert not (checkout / ".venv" / "robotctl-stamp").exists()


@pytest.mark.system
def test_a_signal_while_installing_leaves_no_pip_behind(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a registry that never answers
        (checkout / "requirements.txt").write_text("a-package-nobody-has==1\n")
        process = start(checkout, PIP_INDEX_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            children = psutil.Process(process.pid).children(recursive=True)
            assert children
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
            assert process.returncode == 128 + signal.SIGTERM
            assert psutil.wait_procs(children, timeout=10)[1] == []
