"""What the tests of the core and of the runtimes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .clock import Clock
from .fake_cluster import Fixture


@pytest.fixture
def seed(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> int:
    """The seed of a random test, printed so that a failure can be replayed."""
    seed: int = pytestconfig.option.seed
    print(f"replay with: pytest '{request.node.nodeid}' --seed {seed}")
    return seed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock, which stands still unless the test moves it."""
    return Clock(monkeypatch)


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    """A control over a cluster that is none, from its start to its stop."""
    fixture = Fixture()
    fixture.control.start()
    yield fixture
    fixture.control.stop()
