"""`make run`: what stops a start is told in a line."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from robotctl import run
from robotctl.demo_plan import PlanError, demo_plan, hold
from robotctl.environment import ROOT, read
from robotctl.run_programs import configuration, programs


@pytest.fixture(autouse=True)
def ports_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that run side by side, and a demo that is up, choose apart."""
    first = 20_000 + os.getpid() % 500 * 20
    monkeypatch.setattr("robotctl.demo_plan.FIRST_PORT", first)
    monkeypatch.setattr("robotctl.demo_plan.FIRST_CONTROL_PORT", first + 10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "robotctl.run"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    return process.stderr


def test_a_port_in_use_names_its_user_and_the_mend(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = refused(start(PORT=str(port), ROBOTCTL_VAR=str(tmp_path)))
    assert f"Port {port} is used by " in line
    assert f"(process {os.getpid()})" in line
    assert f"PORT={port + 1} make run" in line
    assert line.count("\n") == 1


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(run.StartError, match=r"HOST=192\.0\.2\.1"):
        run.check_port("192.0.2.1", free_port())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = refused(start(PORT=str(free_port()), ROBOTCTL_VAR=str(tmp_path / "file" / "var")))
    assert f"cannot write to {tmp_path / 'file' / 'var'}" in line
    assert "ROBOTCTL_VAR" in line


def test_all_problems_of_the_environment_are_told_at_once(tmp_path: Path) -> None:
    told = refused(start(PORT="eighty", LOG_LEVEL="LOUD", ROBOTCTL_ASGI="gunicorn", ROBOTCTL_VAR=str(tmp_path)))
    assert all(name in told for name in ("PORT='eighty'", "LOG_LEVEL='LOUD'", "ROBOTCTL_ASGI='gunicorn'"))


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    run.make_folders(tmp_path)
    held = run.lock(tmp_path)
    try:
        line = refused(start(PORT=str(free_port()), ROBOTCTL_VAR=str(tmp_path)))
        assert f"Another robotctl (process {os.getpid()}) runs in {tmp_path}" in line
    finally:
        os.close(held)
    os.close(run.lock(tmp_path))  # free again, whatever the file says


def test_a_bus_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    env = read({"ROBOTCTL_VAR": str(long), "PATH": ""})
    assert env.bus_socket is not None
    run.prepare_bus_folder(env)
    run.prepare_bus_folder(env)
    env.bus_socket.parent.chmod(0o777)
    try:
        with pytest.raises(run.StartError, match="not a private folder"):
            run.prepare_bus_folder(env)
    finally:
        env.bus_socket.parent.rmdir()


class TestDemoPlan:
    def test_it_is_made_once_and_then_kept(self, tmp_path: Path) -> None:
        with ExitStack() as holding:
            first = demo_plan(tmp_path, 3, holding)
        assert [robot.slug for robot in first] == ["oht-01", "oht-02", "oht-03"]
        assert len({port for robot in first for port in (robot.port, robot.control_port)}) == 6
        with ExitStack() as holding:
            assert demo_plan(tmp_path, 7, holding) == first

    def test_busy_ports_are_skipped_also_those_of_a_checkout_that_starts_at_the_same_time(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with ExitStack() as holding:
            one = demo_plan(tmp_path / "a", 2, holding)
            other = demo_plan(tmp_path / "b", 2, holding)
        assert not {robot.port for robot in one} & {robot.port for robot in other}
        assert not {robot.control_port for robot in one} & {robot.control_port for robot in other}

    def test_a_kept_port_that_somebody_took_is_named(self, tmp_path: Path) -> None:
        with ExitStack() as holding:
            plan = demo_plan(tmp_path, 2, holding)
        taken = hold(plan[1].control_port)
        assert taken
        with taken, ExitStack() as holding, pytest.raises(PlanError, match=rf"{plan[1].control_port}.*oht-02"):
            demo_plan(tmp_path, 2, holding, wait_s=0.2)

    def test_no_robot_gets_the_port_of_the_pages(self, tmp_path: Path) -> None:
        with ExitStack() as holding:
            usual = demo_plan(tmp_path, 2, holding)[0].port
        (tmp_path / "demo.json").unlink()
        with ExitStack() as holding:
            plan = demo_plan(tmp_path, 2, holding, web_port=usual)
        assert usual not in {port for robot in plan for port in (robot.port, robot.control_port)}
        with ExitStack() as holding, pytest.raises(PlanError, match=rf"PORT={plan[0].port} .*oht-01"):
            demo_plan(tmp_path, 2, holding, web_port=plan[0].port)

    def test_a_broken_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "demo.json").write_text("{")
        with ExitStack() as holding, pytest.raises(PlanError, match=r"demo\.json cannot be read"):
            demo_plan(tmp_path, 2, holding)

    def test_no_robots_is_a_plan_too(self, tmp_path: Path) -> None:
        with ExitStack() as holding:
            assert demo_plan(tmp_path, 0, holding) == []


class TestPrograms:
    def names(self, **environment: str) -> list[str]:
        with ExitStack() as holding:
            var = Path(environment["ROBOTCTL_VAR"])
            return [program.name for program in programs(read(environment), demo_plan(var, 2, holding))]

    def test_the_bus_is_ours_unless_the_environment_names_one(self, tmp_path: Path) -> None:
        rest = ["sim-oht-01", "sim-oht-02", "web", "poll", "worker", "beat"]
        assert self.names(ROBOTCTL_VAR=str(tmp_path)) == ["bus", *rest]
        assert self.names(ROBOTCTL_VAR=str(tmp_path), REDIS_URL="redis://127.0.0.1:6379/0") == rest

    @pytest.mark.parametrize("server", ["daphne", "uvicorn"])
    def test_the_server_is_the_one_asked_for(self, server: str, tmp_path: Path) -> None:
        env = read({"ROBOTCTL_VAR": str(tmp_path), "ROBOTCTL_ASGI": server, "PORT": "8055"})
        web = next(program for program in programs(env, []) if program.name == "web")
        assert web.command[2] == server
        assert "8055" in web.command

    @pytest.mark.parametrize("name", ["a ;b", "a #b", "100%"])
    def test_a_folder_that_the_configuration_cannot_name_is_refused(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="take a folder without"):
            configuration([], folder=tmp_path / name, logs=tmp_path)
