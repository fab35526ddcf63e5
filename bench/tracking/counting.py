"""What is counted instead of timed: the same program gives the same number, on any machine.

Two things can be counted. What a command costs in messages, bytes and saves, when it travels alone
through a cluster of two: the leader sends it, the follower answers, and only then comes the next.
Nothing can gather or lag behind, so that no load changes the number; with a third node one that
lags would be sent several commands at once. And the source code: its tokens and its complexity.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from raftmark.bench.analysis.metrics import (
    BYTES_PER_COMMAND,
    MESSAGES_PER_COMMAND,
    SAVES_PER_COMMAND,
    Metric,
    values,
)
from raftmark.bench.codemetrics import (
    CodeMetricsError,
    SourceMetrics,
    find_components,
    measure_components,
    measure_modules,
)
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import Trial

COUNTED_CELL = Cell(
    id="counted",
    # One key, and a warm-up that leaves small numbers behind: an encoding in which greater numbers
    # take more bytes gives every command of the measured time the same length.
    workload={
        "name": "replicate",
        "outstanding": 1,
        "payload": 64,
        "keys": 1,
        "warmup_s": 0.5,
        "duration_s": 0.3,
    },
    cluster={
        "nodes": 2,
        "storage": "memory",
        # A stalled machine must not bring an election about, which would end the trial.
        "election_timeout_ms": [500, 1000],
        "heartbeat_ms": 200,
        "snapshot_entries": 0,
    },
    timeout_s=15,
)

# Heartbeats, which come by the clock, are in the counters too: fewer than one in a hundred commands
# even where there are only a hundred in the measured time, and so below these places.
_PLACES = {MESSAGES_PER_COMMAND: 1, SAVES_PER_COMMAND: 1, BYTES_PER_COMMAND: 0}


class Count(msgspec.Struct, frozen=True):
    """One number of a contender, in BASE and in HEAD.

    `gated`: it is a cost of running, so that more of it is worse. Code is not: it grows for good
    reasons. `margin`: by which share it may grow without anybody minding.
    """

    contender: str
    what: str
    base: float
    head: float
    gated: bool
    margin: float = 0.0

    @property
    def grew(self) -> bool:
        """Whether HEAD has more, by more than the margin."""
        return self.head > self.base * (1 + self.margin)


def count_commands(trial: Trial) -> dict[Metric, float]:
    """Return what a command cost in a trial of `COUNTED_CELL`; nothing if the trial failed.

    On a busy machine a contender may read its counters long after the measured time began. Of what
    it has missed by then the entries tell, which were read in the same moment: each is a command.
    """
    found = values(COUNTED_CELL, trial)
    if not found or trial.result is None:
        return {}
    entries, commands = trial.result["counters"].get("entries"), trial.result["commands"]
    seen = min(1.0, entries / commands) if entries else 1.0
    return {m: round(found[m] / seen, places) for m, places in _PLACES.items() if m in found}


def count_code(specs: Mapping[str, ContenderSpec], root: Path) -> dict[str, dict[str, int]]:
    """Return tokens and cyclomatic complexity of each contender's runtime and of its core.

    One whose sources cannot be measured is left out.
    """
    counted: dict[str, dict[str, int]] = {}
    for name, spec in specs.items():
        try:
            runtime = SourceMetrics.total(measure_components(root, spec.sources).values())
            components = find_components(root, spec.sources).values()
            runtime_files = [path for paths in components for path in paths]
            core = SourceMetrics.total(measure_modules(root, spec.core, runtime_files).values())
        except CodeMetricsError:
            continue
        parts = {"runtime": runtime, "core": core}
        counted[name] = {
            f"{what} of the {part}": number
            for part, metrics in parts.items()
            if metrics.tokens
            for what, number in (("tokens", metrics.tokens), ("complexity", metrics.complexity))
        }
    return counted
