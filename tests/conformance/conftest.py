"""Which contenders the suite runs against, and how tests get hold of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from raftmark.bench.contenders.contender import Contender
from raftmark.bench.contenders.registry import ContenderSpec, load_contenders
from raftmark.bench.contenders.variants import Contenders as KnownContenders

from .cluster import ClusterUnderTest

_failed = pytest.StashKey[bool]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for parameter in ("contender_name", "reader_name"):
        if parameter in metafunc.fixturenames:
            metafunc.parametrize(parameter, metafunc.config.option.contender)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


class Contenders:
    """The contenders' processes that tests share, launched when first asked for."""

    def __init__(self) -> None:
        self._specs = KnownContenders(load_contenders())
        self._unavailable: dict[str, str | None] = {}
        self._running: dict[str, Contender] = {}

    def spec(self, name: str) -> ContenderSpec:
        return self._specs[name]

    def unavailable(self, name: str) -> str | None:
        """Return None, or why the contender cannot run here."""
        if name not in self._unavailable:
            self._unavailable[name] = self._specs[name].available()
        return self._unavailable[name]

    def shared(self, name: str) -> Contender:
        """Return the running contender that tests share; none of its clusters is running."""
        if name not in self._running:
            self._running[name] = self._specs[name].launch()
        return self._running[name]

    def discard(self, name: str) -> None:
        """Kill the shared contender, so that no test inherits what another one left."""
        if name in self._running:
            self._running.pop(name).kill()

    def close(self) -> None:
        """Quit all that is left."""
        while self._running:
            _, contender = self._running.popitem()
            status = contender.close()
            assert status == 0, f"exit status {status}"


@pytest.fixture(scope="session")
def contenders() -> Iterator[Contenders]:
    contenders = Contenders()
    yield contenders
    contenders.close()


@pytest.fixture
def demand(contenders: Contenders, pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Fail the test, or skip it if that was asked for, where a contender cannot run."""

    def demand(name: str) -> None:
        reason = contenders.unavailable(name)
        if reason is not None and pytestconfig.option.skip_unavailable:
            pytest.skip(f"{name} cannot run: {reason}")
        if reason is not None:
            pytest.fail(f"{name} cannot run: {reason}\n(--skip-unavailable skips its tests)", False)

    return demand


@pytest.fixture
def spec(
    contender_name: str, contenders: Contenders, demand: Callable[[str], None]
) -> ContenderSpec:
    """Return the contender under test, as the registry has it."""
    demand(contender_name)
    return contenders.spec(contender_name)


@pytest.fixture
def contender(
    spec: ContenderSpec, contenders: Contenders, request: pytest.FixtureRequest
) -> Iterator[Contender]:
    """Yield the contender under test: one process that many tests share, one after the other."""
    yield contenders.shared(spec.name)
    if request.node.stash.get(_failed, False):
        contenders.discard(spec.name)


class StartCluster(Protocol):
    """Starts a cluster that is stopped at the end of the test."""

    def __call__(self, nodes: int = 3, **settings: Any) -> ClusterUnderTest: ...


@pytest.fixture
def start(contender: Contender, request: pytest.FixtureRequest) -> Iterator[StartCluster]:
    """Yield a function that starts a cluster in the shared contender."""
    running: list[ClusterUnderTest] = []

    def start(nodes: int = 3, **settings: Any) -> ClusterUnderTest:
        cluster = ClusterUnderTest(contender, nodes, **settings)
        running.append(cluster)
        return cluster

    yield start
    # After a failure the contender is killed anyway, and `stop` might only hide the cause.
    if not request.node.stash.get(_failed, False):
        for cluster in running:
            if cluster.running:
                cluster.stop()


class Launch(Protocol):
    """Launches a contender of the test's own, which is killed at the test's end."""

    def __call__(self) -> Contender: ...


@pytest.fixture
def launch(spec: ContenderSpec, tmp_path: Path) -> Iterator[Launch]:
    """Yield a function that launches a fresh process of the contender under test."""
    launched: list[Contender] = []

    def launch() -> Contender:
        contender = spec.launch(stderr=tmp_path / f"stderr-{len(launched)}")
        launched.append(contender)
        return contender

    yield launch
    for contender in launched:
        contender.kill()


@pytest.fixture(params=["memory", "disk"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Return the settings of `start` for each kind of storage in turn."""
    if request.param == "disk":
        return {"storage": "disk", "data_dir": str(tmp_path / "data")}
    return {"storage": "memory"}


@pytest.fixture
def seed(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> int:
    """Return the seed of a random test, printed so that a failure can be replayed."""
    seed: int = pytestconfig.option.seed
    print(f"replay with: pytest '{request.node.nodeid}' --seed {seed}")
    return seed
