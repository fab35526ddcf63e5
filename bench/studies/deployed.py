"""Speed as deployed: each node a program, against PySyncObj's programs and against a sketch.

`python -m raftmark.bench.studies.deployed DIRECTORY` lets contenders, whose three nodes are
programs that speak TCP on loopback, and PySyncObj take turns at 1, 64 and 256 commands
outstanding, in memory and with a disk, and prints what was found. The study is a run, DIRECTORY,
and goes on where it was interrupted: `--minutes` ends it after a while, `--tables` only prints.

PySyncObj is taken at the better of its settings in each cell. Its journal is what it has instead
of a disk; it never syncs that, so those rows are labelled, and compare what survives the death of a
machine with what does not.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from raftmark.bench.analysis.statistics import Estimate, median_interval, ratio_interval
from raftmark.bench.baselines.pysyncobj import SETTINGS
from raftmark.bench.baselines.turns import Baseline, pysyncobj, samples_of, take_turns
from raftmark.bench.contenders.registry import ContenderSpec, load_contenders
from raftmark.bench.design.cells import Cell, deployed
from raftmark.bench.design.specification import Specification, replicate_cell
from raftmark.bench.experiment.entries import describe
from raftmark.bench.experiment.environment import describe_environment
from raftmark.bench.runs.forms import Asked, Manifest
from raftmark.bench.runs.store import Run, StoreError, now

OUTSTANDING = (1, 64, 256)
STORAGES = ("memory", "disk")
CONTENDERS = ("asyncio", "threading", "multiprocessing", "go")
WARMUP_S, DURATION_S = 0.3, 1.0

SKETCH: dict[tuple[str, str], tuple[int, int, int]] = {
    ("asyncio", "memory"): (17_000, 228_000, 270_000),
    ("asyncio", "disk"): (3_400, 84_000, 163_000),
    ("threading", "memory"): (14_000, 550_000, 1_040_000),
    ("threading", "disk"): (3_600, 145_000, 384_000),
    ("multiprocessing", "memory"): (28_000, 737_000, 1_309_000),
    ("multiprocessing", "disk"): (3_700, 158_000, 404_000),
    ("go", "memory"): (25_000, 472_000, 680_000),
    ("go", "disk"): (4_200, 84_000, 221_000),
}
"""Commands/s at 1, 64 and 256 outstanding of a sketch of the commit path alone.

Batches, MessagePack and TCP between three programs, a save and `fdatasync` for each batch; no
elections, checksums, sessions or flow control. asyncio has a task and Go a goroutine for each
client, as the contenders have. It was measured with Python 3.11.2 on another machine of two cores,
so a share of it is rough.
"""

Samples = Mapping[str, Mapping[int, float]]


def subject(contender: str, storage: str, outstanding: int) -> str:
    """Name what was measured of a contender."""
    return f"{contender}-{storage}-w{outstanding}"


def of_cell(contender: str, cell: Cell) -> str:
    """Name what a trial in a cell measured of it."""
    return subject(contender, cell.cluster["storage"], cell.workload["outstanding"])


def baselines() -> dict[str, Baseline]:
    """Return PySyncObj in each setting and cell."""
    return {
        f"pysyncobj-{setting}-w{outstanding}" + "-journal" * (storage == "disk"): pysyncobj(
            setting, outstanding, WARMUP_S, DURATION_S, journal=storage == "disk"
        )
        for setting, outstanding, storage in product(SETTINGS, OUTSTANDING, STORAGES)
    }


def begin(
    directory: Path, specs: Mapping[str, ContenderSpec], names: list[str], blocks: int
) -> Run:
    """Open the study's run, or make it."""
    if directory.exists():
        return Run.open(directory)
    cells = [
        deployed(
            replicate_cell(outstanding, storage=storage, warmup_s=WARMUP_S, duration_s=DURATION_S)
        )
        for outstanding, storage in product(OUTSTANDING, STORAGES)
    ]
    return Run.create(
        directory.parent,
        Manifest(
            run=directory.name,
            profile="deployed",
            seed=1,
            started_at=now(),
            specification=Specification(blocks=blocks, cells=cells),
            contenders=[describe(specs[name], say) for name in names],
            environment=describe_environment(),
            asked=Asked(),
        ),
    )


def tables(samples: Samples, names: list[str]) -> list[str]:
    """Return what was found, as lines of Markdown: medians and 95 % intervals over blocks."""
    columns = "storage outstanding contender commands/s of_the_sketch over_PySyncObj PySyncObj"
    lines = [
        f"| {' | '.join(columns.split()).replace('_', ' ')} |",
        "|---|---:|---|---:|---:|---|---|",
    ]
    for storage, (place, outstanding) in product(STORAGES, enumerate(OUTSTANDING)):
        peer = better(samples, storage, outstanding)
        for name in names:
            values = samples.get(subject(name, storage, outstanding), {})
            if not values:
                continue
            own = median_interval(list(values.values()))
            sketch = SKETCH.get((name, storage))
            share = "" if sketch is None else f"{own.value / sketch[place]:.0%}"
            lines.append(
                f"| {storage} | {outstanding} | {name} | {spelled(own, ',.0f')} | {share} "
                f"| {against(values, samples.get(peer, {}))} | {described(peer, samples)} |"
            )
    return lines


def better(samples: Samples, storage: str, outstanding: int) -> str:
    """Name PySyncObj's setting that commits more there."""
    suffix = "-journal" * (storage == "disk")
    settings = [f"pysyncobj-{setting}-w{outstanding}{suffix}" for setting in SETTINGS]
    return max(
        settings,
        key=lambda each: statistics.median(samples[each].values()) if samples.get(each) else 0.0,
    )


def against(values: Mapping[int, float], peer: Mapping[int, float]) -> str:
    """Spell the ratio of two figures within blocks."""
    blocks = sorted(values.keys() & peer.keys())
    if not blocks:
        return ""
    ratio = ratio_interval([values[n] for n in blocks], [peer[n] for n in blocks])
    return f"{spelled(ratio, '.2g')} times"


def described(peer: str, samples: Samples) -> str:
    """Say what PySyncObj did there."""
    values = samples.get(peer, {})
    if not values:
        return "not measured"
    setting = peer.split("-")[1] + (", journal *not synced*" if peer.endswith("journal") else "")
    return f"{statistics.median(values.values()):,.0f}, {setting}"


def spelled(estimate: Estimate, form: str) -> str:
    """Spell an estimate with its interval, if it has one."""
    value, low, high = (format(each, form) for each in estimate)
    return value if math.isnan(estimate.low) else f"{value} ({low} to {high})"


def say(line: str) -> None:
    """Tell people how it goes on."""
    print(line, file=sys.stderr, flush=True)


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m raftmark.bench.studies.deployed", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("directory", type=Path, help="where the study is kept, and goes on")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), metavar="A,B", help="who")
    parser.add_argument("--blocks", type=int, default=6, help="how often everything is measured")
    parser.add_argument("--minutes", type=float, default=math.inf, help="leave the rest then")
    parser.add_argument("--tables", action="store_true", help="print what was found, run nothing")
    asked = parser.parse_args()
    end_s = time.monotonic() + 60 * asked.minutes
    specs = load_contenders()
    directory = asked.directory.resolve()
    try:
        run = begin(directory, specs, asked.contenders.split(","), asked.blocks)
        with run.lock():
            if not asked.tables:
                take_turns(run, specs, baselines(), say, lambda: time.monotonic() >= end_s)
            names = [entry.name for entry in run.manifest.contenders]
            print("\n".join(tables(samples_of(run, of_cell), names)))
    except StoreError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
