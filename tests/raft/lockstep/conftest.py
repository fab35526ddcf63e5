"""What the lockstep's tests share, and where they tell how far they went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .lockstep import Lockstep
from .twin import Twin, build

REPORT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go core's test binary."""
    path = tmp_path_factory.mktemp("lockstep") / "raft.test"
    build(path)
    return path


@pytest.fixture(scope="session")
def twin(binary: Path) -> Iterator[Twin]:
    """The Go core."""
    with Twin(binary) as twin:
        yield twin


@pytest.fixture
def lockstep(twin: Twin) -> Lockstep:
    """Both cores, with nothing counted yet."""
    return Lockstep(twin)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show what the cores went through together: that they agree is worth no more than that."""
    if lines := config.stash.get(REPORT, []):
        terminalreporter.section("lockstep of the two cores")
        for line in lines:
            terminalreporter.line(line)
