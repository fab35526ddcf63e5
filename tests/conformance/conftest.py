"""Which contenders the suite runs against, and how tests get hold of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from raftmark.bench.contenders.conformance import FEATURES, LEVELS
from raftmark.bench.contenders.contender import Contender
from raftmark.bench.contenders.registry import ContenderSpec, Unavailable, load_contenders
from raftmark.bench.contenders.variants import Contenders as KnownContenders

from .cluster import ClusterUnderTest

_failed = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse marks that would let a test be passed over by mistake."""
    here = Path(__file__).resolve().parent
    for item in items:
        if item.path.resolve().parent != here:
            continue
        asks = "contender_name" in getattr(item, "fixturenames", ())
        if asks and level_of(item) not in LEVELS:
            known = ", ".join(LEVELS)
            raise pytest.UsageError(f"{item.nodeid} has no level: mark it with one of {known}")
        if unknown := set(needed_by(item)) - FEATURES:
            raise pytest.UsageError(f"{item.nodeid} needs what nobody offers: {unknown}")


def needed_by(item: pytest.Item) -> list[str]:
    """Return the features without which a contender is not put to this test."""
    needed = [feature for mark in item.iter_markers("needs") for feature in mark.args]
    return list(dict.fromkeys(needed))


def level_of(item: pytest.Item) -> str | None:
    """Return the level of which a contender has to pass this test; None for the suite's own."""
    mark = item.get_closest_marker("level")
    return mark.args[0] if mark is not None and mark.args else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    option = metafunc.config.option
    for parameter, names in (("contender_name", option.contender), ("reader_name", option.reader)):
        if parameter in metafunc.fixturenames:
            metafunc.parametrize(parameter, names)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # Also one that was expected to fail, as some are of other people's Rafts.
    if report.failed or (report.skipped and hasattr(report, "wasxfail")):
        item.stash[_failed] = True
    contenders = getattr(item, "funcargs", {}).get("contenders")
    if report.when == "teardown" and contenders is not None:
        contenders.end_of_test(failed=item.stash.get(_failed, False))
    return report


class Contenders:
    """The contenders' processes that tests share, launched when first asked for."""

    def __init__(self, table: Path) -> None:
        self._specs = KnownContenders(load_contenders(table))
        self._hello: dict[str, dict[str, Any] | Unavailable] = {}
        self._running: dict[str, Contender] = {}
        self._used: set[str] = set()

    def spec(self, name: str) -> ContenderSpec:
        return self._specs[name]

    def unavailable(self, name: str) -> str | None:
        """Return None, or why the contender cannot run here."""
        hello = self._ask(name)
        return str(hello) if isinstance(hello, Unavailable) else None

    def features(self, name: str) -> set[str]:
        """Return what the contender says that it offers."""
        hello = self._ask(name)
        return set() if isinstance(hello, Unavailable) else set(hello["features"])

    def _ask(self, name: str) -> dict[str, Any] | Unavailable:
        if name not in self._hello:
            try:
                self._hello[name] = self._specs[name].probe()
            except Unavailable as reason:
                self._hello[name] = reason
        return self._hello[name]

    def shared(self, name: str) -> Contender:
        """Return the running contender that tests share; none of its clusters is running."""
        if name not in self._running:
            self._running[name] = self._specs[name].launch()
        self._used.add(name)
        return self._running[name]

    def end_of_test(self, *, failed: bool) -> None:
        """Kill what a failed test has used, so that no other inherits what it left."""
        for name in self._used & self._running.keys() if failed else ():
            self._running.pop(name).kill()
        self._used.clear()

    def close(self) -> None:
        """Quit all that is left."""
        while self._running:
            _, contender = self._running.popitem()
            status = contender.close()
            assert status == 0, f"exit status {status}"


@pytest.fixture(scope="session")
def contenders(pytestconfig: pytest.Config) -> Iterator[Contenders]:
    contenders = Contenders(pytestconfig.option.contenders_file)
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


@pytest.fixture(autouse=True)
def only_what_is_offered(
    request: pytest.FixtureRequest, contenders: Contenders, demand: Callable[[str], None]
) -> None:
    """Skip a test that `needs` what the contender's hello does not offer."""
    needed = needed_by(request.node)
    if needed and "contender_name" in request.fixturenames:
        name = request.getfixturevalue("contender_name")
        demand(name)
        missing = [each for each in needed if each not in contenders.features(name)]
        if missing:
            request.node.user_properties += [("not offered", each) for each in missing]
            pytest.skip(f"{name} does not offer {', '.join(missing)}")


@pytest.fixture
def spec(
    contender_name: str, contenders: Contenders, demand: Callable[[str], None]
) -> ContenderSpec:
    """Return the contender under test, as the registry has it."""
    demand(contender_name)
    return contenders.spec(contender_name)


@pytest.fixture
def contender(spec: ContenderSpec, contenders: Contenders) -> Contender:
    """Return the contender under test: one process that many tests share, one after the other."""
    return contenders.shared(spec.name)


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


@pytest.fixture(params=["memory", pytest.param("disk", marks=pytest.mark.needs("disk"))])
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
