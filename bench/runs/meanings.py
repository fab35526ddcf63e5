"""What figures mean, where that changed: a run carries the version of its Raftmark's counting.

Whoever changes what a metric is, or how it is counted, adds a line. Figures from before and from
since are then no one series in a history, which says so.
"""

from __future__ import annotations

from typing import NamedTuple


class Recounted(NamedTuple):
    """Since a version some metrics, by their keys, are counted in another way: `what` is new."""

    version: int
    metrics: frozenset[str]
    what: str


CHANGES = (
    Recounted(
        2,
        frozenset({"peak_memory"}),
        "peak memory is of the measured run, no longer since the process began",
    ),
)

VERSION = CHANGES[-1].version
FIRST = 1
"""That of runs from before it was kept."""


def meaning(metric: str, version: int) -> int:
    """Return the version as of which a metric has been counted as it is in `version`."""
    versions = [c.version for c in CHANGES if metric in c.metrics and c.version <= version]
    return max(versions, default=FIRST)


def recounted(metric: str, before: int, since: int) -> list[str]:
    """Return what changed in the counting of a metric between two versions."""
    low, high = sorted((before, since))
    return [c.what for c in CHANGES if metric in c.metrics and low < c.version <= high]
