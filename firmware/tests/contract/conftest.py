"""The suite's fixtures: a robot of each kind that runs, registered anew for every test, and a row of the report for each."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware import network, threads
from firmware.drainer import drainer
from firmware.language.kind import Profile
from firmware.models import Robot
from firmware.tests.contract.kinds import Kind, Machine, chosen
from firmware.tests.contract.proxy import Proxy
from firmware.tests.contract.report import CASE, SEEN, WORDS, Row
from firmware.tests.contract.subject import Subject

HERE = Path(__file__).parent
ORDER = [
    "test_profile",
    "test_reads",
    "test_equipment",
    "test_writes",
    "test_link",
    "test_commands",
    "test_stop",
    "test_survival",
]
PARTS: dict[str, Callable[[Profile], list[str]]] = {
    "read": lambda spec: list(spec.reads),
    "command": lambda spec: list(spec.commands),
    "part": lambda spec: [
        *(["modules"] if spec.modules else []),
        *([f"module {name}" for name in spec.modules.details] if spec.modules else []),
        *(["registers"] if spec.registers else []),
        *(["lidar"] if spec.lidar else []),
        *(f"config {name}" for name in spec.config),
    ],
    "group": lambda spec: [name for name, group in spec.config.items() if group.write],
    "call": lambda spec: list(spec.setup),
}
Saw = Callable[..., None]


# --- which tests there are ------------------------------------------------------------------------------------------
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test for every kind; those of a read, a command or a part once for each that the kind's profile has."""
    if "kind" not in metafunc.fixturenames:
        return
    part = next((name for name in PARTS if name in metafunc.fixturenames), None)
    cases = []
    for kind in chosen(metafunc.config):
        if part is None:
            if kind.spec is not None or metafunc.module.__name__.endswith("test_profile"):
                cases.append(pytest.param(kind, id=kind.name, marks=kind.marks))
        elif kind.spec is not None:
            names = PARTS[part](kind.spec)
            cases += [pytest.param(kind, name, id=f"{kind.name}-{name}", marks=kind.marks) for name in names]
    argnames = ["kind"] if part is None else ["kind", part]
    metafunc.parametrize(argnames, cases, indirect=["kind"], scope="package")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One kind after the other, each started once; within it from looking to stopping, and last whether it lives."""
    items[:] = [item for item in items if HERE not in item.path.parents or _case(item)["kind"]]  # for no kind: no test
    ours = [index for index, item in enumerate(items) if HERE in item.path.parents]
    kinds: dict[str, int] = {}
    for index in ours:
        case = _case(items[index])
        kinds.setdefault(case["kind"], len(kinds))
        items[index].user_properties.append((CASE, case))
    moved = sorted(
        (items[index] for index in ours),
        key=lambda item: (kinds[_case(item)["kind"]], ORDER.index(item.path.stem), *_place(item)),
    )
    for index, item in zip(ours, moved, strict=True):
        items[index] = item


def _place(item: Any) -> tuple[int, int]:
    """Where it stands in its file, and its part in the profile."""
    return item.function.__code__.co_firstlineno, max(item.callspec.indices.values())


def _case(item: Any) -> dict[str, str]:
    """The kind's name, and what the test is about: its docstring."""
    params: dict[str, Any] = item.callspec.params
    kind = params.get("kind")
    title = (item.function.__doc__ or item.name).strip().splitlines()[0].format(**params)
    return {"kind": kind.name if isinstance(kind, Kind) else "", "title": title}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the robot's secrets out of whatever is printed, and a failure's words for the table."""
    report = yield
    if HERE not in item.path.parents:
        return report
    if report.failed and call.excinfo is not None:
        words = f"{call.excinfo.typename}: " if not call.excinfo.errisinstance(AssertionError) else ""
        words += (str(call.excinfo.value).splitlines() or [""])[0]
        report.user_properties.append((WORDS, _scrub(item, words)[:300]))
        printed = str(report.longrepr)
        if (clean := _scrub(item, printed)) != printed:
            report.longrepr = clean
    report.sections = [(name, _scrub(item, text)) for name, text in report.sections]
    return report


def _scrub(item: pytest.Item, text: str) -> str:
    """`text` without the credentials of the test's robot."""
    machine = getattr(item, "funcargs", {}).get("machine")
    for secret in machine.credentials.values() if isinstance(machine, Machine) else ():
        text = text.replace(secret, "…") if secret else text
    return text


# --- the robot ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="package")
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="package")
def machine(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with kind.start(tmp_path_factory.mktemp(kind.name)) as running:
        yield running
        assert not running.died(), "its firmware has died: a client hung up before it was answered"


@pytest.fixture
def saw(request: pytest.FixtureRequest) -> Saw:
    """`saw("12 ms")`: a row of the report; `title` and `verdict` where they are not the test's own."""
    case = dict(request.node.user_properties)[CASE]

    def tell(evidence: str, *, title: str = "", verdict: str = SEEN) -> None:
        row = Row(case["kind"], title or case["title"], verdict, _scrub(request.node, evidence))
        request.node.user_properties.append(row.property())

    return tell


@pytest.fixture
def meet(kind: Kind, machine: Machine, people: dict[str, Any]) -> Iterator[Callable[..., Subject]]:
    """`meet(url=…, poll_interval_s=…)`: the robot, registered."""

    def register(url: str = "", poll_interval_s: float = 1.0) -> Subject:
        robot = Robot(
            slug="contract",
            name="Under test",
            profile=kind.profile,
            base_url=url or machine.url,
            poll_interval_s=poll_interval_s,
            settings=machine.settings,
        )
        robot.credentials = machine.credentials
        robot.full_clean(exclude=["sealed_credentials"])
        robot.save()
        return Subject(kind, machine, robot, people["alice"])

    yield register
    drainer.wait(5)
    assert threads.settle(20), "something still talks to the robot"


@pytest.fixture
def subject(meet: Callable[..., Subject]) -> Subject:
    return meet()


@pytest.fixture
def may_act(machine: Machine, request: pytest.FixtureRequest) -> None:
    """A robot that is not on this host moves only if somebody has said that it may."""
    if not machine.is_near and not request.config.getoption("contract_moves"):
        pytest.skip("needs --moves")


@pytest.fixture
def acting(may_act: None, subject: Subject) -> Iterator[Subject]:
    """The robot out of any stop and standing, before and after."""
    yield from _at_home(subject)


@pytest.fixture
def proxy(machine: Machine) -> Iterator[Proxy]:
    if machine.url.startswith("https:"):
        pytest.skip("its certificate is not one of a proxy on this host")
    with Proxy(machine.url) as between:
        if refused := network.refusal("127.0.0.1", between.port):
            pytest.skip(f"no proxy can stand before it: {refused}")
        yield between


@pytest.fixture
def proxied(proxy: Proxy, meet: Callable[..., Subject]) -> Iterator[Subject]:
    """The robot behind the proxy, polled often."""
    yield meet(proxy.url, poll_interval_s=0.25)
    proxy.release()
    proxy.accept()
    drainer.wait(5)


@pytest.fixture
def acting_proxied(may_act: None, proxy: Proxy, proxied: Subject) -> Iterator[Subject]:
    for found in _at_home(proxied):
        yield found
        proxy.release()
        assert drainer.wait(5) == 0


def _at_home(subject: Subject) -> Iterator[Subject]:
    subject.come_home()
    if subject.is_stopped() and not subject.motions():
        words = "and its profile knows no way out of it: bring it out of its stop, or mend `reset` or `stop.stopped`, which holds"
        pytest.fail(f"it is {subject.machine_state}, which reads stopped, {words}; nothing could be seen to stop it")
    yield subject
    subject.come_home()
