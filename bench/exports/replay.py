"""The other side of `raftmark.bench.exports.pytest_benchmark`: a pytest plugin and its only test.

Run by pytest in a process of its own, never imported by the harness. Each round of the test
advances the plugin's clock by one recorded sample and does nothing else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raftmark.bench.exports.pytest_benchmark import Recording, Replayed


class Clock:
    """A clock that stands still until it is advanced; in seconds."""

    now = 0.0

    def start_over(self) -> None:
        """Show zero again: from there, adding a sample is exact."""
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += seconds


_clock = Clock()


def now() -> float:
    """Return what the clock shows: the plugin's timer."""
    return _clock.now


_recording = msgspec.json.decode(
    Path(os.environ["RAFTMARK_RECORDING"]).read_bytes(), type=Recording
)


def pytest_benchmark_generate_machine_info() -> dict[str, Any]:
    """Tell of the machine that was measured, not of this one."""
    return _recording.machine


def pytest_benchmark_generate_commit_info() -> dict[str, Any]:
    """Tell of the revision that was measured."""
    return _recording.commit


@pytest.mark.parametrize("series", _recording.series, ids=lambda series: series.name)
def test_replay(benchmark: Any, series: Replayed) -> None:
    """Take as long as the trials of a series took, a round each."""
    benchmark.group = series.group
    benchmark.name = series.name
    benchmark.extra_info.update(series.extra)
    samples = iter(series.seconds)
    benchmark.pedantic(
        lambda: _clock.advance(next(samples)),
        setup=_clock.start_over,
        rounds=len(series.seconds),
        iterations=1,
    )
