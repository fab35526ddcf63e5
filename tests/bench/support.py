"""What the harness's tests share: the fakes, and tables of contenders made of them."""

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from raftmark.bench.contenders.registry import ContenderSpec, load_contenders
from raftmark.bench.design.schedule import Planned
from raftmark.bench.design.specification import Cell, Specification
from raftmark.bench.experiment.host import LocalHost
from raftmark.bench.experiment.measure import End, measure
from raftmark.bench.runs.forms import ContenderEntry, Cost, Manifest, Trial
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run, now
from raftmark.terminal.progress import show_progress

FAKES = Path(__file__).parent / "fakes"

# Long enough that only a real hang reaches it, on any machine.
PATIENCE = 60.0
# The same for what starts a dozen programs.
LONG = 5 * PATIENCE


HELLO = {"features": ["memory", "disk", "replicate", "election"]}
"""What `hello` of a fake says, as far as the harness looks at it."""


def fake(name: str, *arguments: str) -> list[str]:
    """Return the command of a fake contender."""
    return [sys.executable, str(FAKES / f"{name}.py"), *arguments]


def write_table(path: Path, commands: dict[str, list[str]]) -> Path:
    """Write a contenders' table with one entry for each named command."""
    entries = [
        {"name": name, "label": name.title(), "color": "#000000", "marker": "o", "command": command}
        for name, command in commands.items()
    ]
    # JSON strings and lists of them are TOML too.
    lines = []
    for entry in entries:
        lines.append("[[contender]]")
        lines += [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in entry.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def contenders(path: Path, commands: dict[str, list[str]]) -> dict[str, ContenderSpec]:
    """Return fake contenders as the registry loads them."""
    return load_contenders(write_table(path / "contenders.toml", commands))


def replicate_cell(outstanding: int = 2, timeout_s: float = PATIENCE) -> Cell:
    """Return a closed-loop cell that the stub answers at once."""
    return Cell(
        id=f"replicate-w{outstanding}",
        workload={
            "name": "replicate",
            "outstanding": outstanding,
            "payload": 64,
            "warmup_s": 0.01,
            "duration_s": 0.04,
        },
        cluster={
            "nodes": 3,
            "storage": "memory",
            "election_timeout_ms": [150, 300],
            "heartbeat_ms": 50,
        },
        timeout_s=timeout_s,
    )


def election_cell() -> Cell:
    """Return an election cell that the stub answers at once."""
    cell = replicate_cell()
    return Cell(
        id="election-12-24",
        workload={"name": "election", "elections": 3, "cap_s": 10},
        cluster={**cell.cluster, "election_timeout_ms": [12, 24], "heartbeat_ms": 6},
        timeout_s=PATIENCE,
    )


def manifest(
    names: Sequence[str],
    cells: Sequence[Cell],
    blocks: int = 2,
    seed: int = 1,
    *,
    contenders: Sequence[ContenderEntry] | None = None,
    **changes: Any,
) -> Manifest:
    """Return the manifest of a run of fakes."""
    return Manifest(
        run="a-run",
        profile="quick",
        seed=seed,
        started_at=now(),
        specification=Specification(blocks=blocks, cells=list(cells), **changes),
        contenders=list(contenders)
        if contenders is not None
        else [ContenderEntry(name, name.title(), HELLO, None) for name in names],
        environment={},
    )


def measured_trial(planned: Planned, throughput: int, cpu_s: float) -> Trial:
    """Return a made-up trial of the closed loop: so many commands in a second."""
    outstanding = planned.cell.workload["outstanding"]
    return Trial(
        trial=planned.id,
        cell=planned.cell.id,
        block=planned.block,
        order=planned.order,
        contender=planned.contender,
        status="ok",
        failure=None,
        result={
            "workload": "replicate",
            "node": 1,
            "client": "made up",
            "started_ns": 0,
            "ended_ns": 10**9,
            "commands": throughput,
            "latency_ns": [[10_000, throughput]],
            "slices": [[10**9, throughput]],
            "acknowledged": [throughput] + [0] * (outstanding - 1),
            "counters": {},
        },
        check=None,
        cost=Cost(cpu_s, None, None, None),
        machine=None,
        started_at="2026-03-01T12:00:00Z",
        duration_s=1.0,
    )


def measure_quietly(run: Run, specs: Mapping[str, ContenderSpec]) -> End:
    """Measure what a run lacks without showing anything."""
    with show_progress(remaining(run), Console(file=io.StringIO())) as display:
        return measure(run, [LocalHost(run, specs)], display)
