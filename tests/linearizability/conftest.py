"""Which contenders the histories are recorded of, and for how long."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import contenders, demand, pytest_generate_tests, seed, spec

__all__ = ["contenders", "demand", "pytest_generate_tests", "seed", "spec"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give a long run the time it takes, and its checks as much again and more."""
    for item in items:
        if "nemesis_seconds" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(1200 + 3 * config.option.nemesis_seconds))


@pytest.fixture
def nemesis_seconds(pytestconfig: pytest.Config) -> float:
    """For how long each contender is harmed."""
    seconds: float = pytestconfig.option.nemesis_seconds
    return seconds


@pytest.fixture
def spared(pytestconfig: pytest.Config) -> list[str]:
    """Return the kinds of faults that are left out: some libraries do not promise as much."""
    kinds: list[str] = pytestconfig.option.spare
    return kinds
