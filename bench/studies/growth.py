"""How cost grows with work: `python -m raftmark.bench.studies.growth DIRECTORY`.

One thing is varied at a time: commands outstanding, nodes, the size of values, the length of the
log (with snapshots), and the sessions that clients have had. In each block every contender is
measured at every value of each, and so there is one exponent of each block: the slope of the cost's
logarithm over the logarithm of what is varied. 1 is linear. What a mean slope hides, the steepest
step from one value to the next shows. Medians have 95 % intervals over blocks.

The study is a run, DIRECTORY, and goes on where it was interrupted: `--minutes` ends it after a
while, `--tables` only prints.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np

from raftmark.bench.analysis.statistics import CONFIDENCE, Estimate, median_interval
from raftmark.bench.baselines.turns import take_turns
from raftmark.bench.contenders.registry import ContenderSpec, Unavailable, load_contenders
from raftmark.bench.contenders.variants import Contenders
from raftmark.bench.design.cells import with_snapshots
from raftmark.bench.design.specification import Cell, Specification, replicate_cell
from raftmark.bench.experiment.entries import describe
from raftmark.bench.experiment.environment import describe_environment
from raftmark.bench.runs.forms import Asked, Manifest
from raftmark.bench.runs.store import Run, StoreError, now
from raftmark.bench.studies.costs import DIMENSIONS, Costs, costs_of
from raftmark.bench.studies.sessions import sessions

CONTENDERS = ("threading", "asyncio", "multiprocessing", "go")

OUTSTANDING = (1, 4, 16, 64, 256, 1024, 4096)
NODES = (3, 5, 7, 9)
VALUES = (64, 1024, 16_384, 65_536)
SESSIONS = (100, 1_000, 10_000, 100_000)

LINEAR = 1.0

FEWEST_BLOCKS = 6
"""Of fewer not even the extremes enclose a median in 95 % of cases."""


class Scale(NamedTuple):
    """How much of it is measured: the seconds of the longest load, and the most sessions."""

    log_s: float = 150.0
    most_sessions: int = SESSIONS[-1]
    load_s: float = 1.0


class Curve(NamedTuple):
    """How a contender's cost grows in one dimension.

    `points` are medians by what is varied; `exponent` is of all of them, and `steepest` that of the
    step from `first` to `last` in which the cost grows most: it is looked for among all steps, so
    their intervals hold together. None with fewer than two points. So many `blocks` have all.
    """

    dimension: str
    contender: str
    points: Mapping[float, Estimate]
    exponent: Estimate | None
    steepest: Estimate | None
    first: float
    last: float
    blocks: int

    @property
    def verdict(self) -> str:
        """Whether the steepest step is at most linear, by its interval."""
        if self.steepest is None:
            return "not measured"
        if self.blocks < FEWEST_BLOCKS:
            return "too few blocks to tell"
        _, low, high = self.steepest
        if high <= LINEAR:
            return "at most linear"
        return "steeper than linear" if low > LINEAR else "linear, as far as can be told"


def specification(blocks: int, scale: Scale) -> Specification:
    """Return the cells: what each contender is asked for in each block, besides the sessions."""
    log = with_snapshots(replicate_cell(256, warmup_s=0.1, duration_s=scale.log_s))
    cells = [
        *(
            replicate_cell(outstanding, warmup_s=0.3, duration_s=scale.load_s)
            for outstanding in OUTSTANDING
        ),
        *(
            replicate_cell(64, nodes=nodes, warmup_s=0.3, duration_s=scale.load_s)
            for nodes in NODES[1:]
        ),
        # The check reads every value back, so there are few of the larger.
        *(replicate_cell(1, payload=size, warmup_s=0.1, duration_s=0.2) for size in VALUES[1:]),
        log,
    ]
    return Specification(blocks=blocks, cells=[_calm(cell) for cell in cells])


def _calm(cell: Cell) -> Cell:
    """Let no leader lose its lead for its work, however long a turn of that takes."""
    cluster = {**cell.cluster, "election_timeout_ms": [1000, 2000], "heartbeat_ms": 100}
    return msgspec.structs.replace(cell, cluster=cluster)


def curves(costs: Costs, names: Sequence[str]) -> Iterator[Curve]:
    """Yield how each contender's cost grows, dimension by dimension."""
    for dimension, found in costs.items():
        for name in names:
            if by_value := found.get(name):
                yield curve(dimension, name, by_value)


def curve(dimension: str, name: str, costs: Mapping[float, Mapping[int, float]]) -> Curve:
    """Return how one cost grows, of a value by block for each value of what is varied."""
    xs = sorted(costs)
    points = {x: median_interval(list(costs[x].values())) for x in xs}
    whole = [block for block in sorted(costs[xs[0]]) if all(block in costs[x] for x in xs)]
    if len(xs) < 2 or not whole:
        return Curve(dimension, name, points, None, None, xs[0], xs[-1], len(whole))
    exponents = [_slope(xs, [costs[x][block] for x in xs]) for block in whole]
    confidence = 1 - (1 - CONFIDENCE) / (len(xs) - 1)
    steps = {
        (a, b): [_slope([a, b], [costs[a][block], costs[b][block]]) for block in whole]
        for a, b in pairwise(xs)
    }
    first, last = max(steps, key=lambda step: median(steps[step]))
    steepest = median_interval(steps[first, last], confidence)
    exponent = median_interval(exponents)
    return Curve(dimension, name, points, exponent, steepest, first, last, len(whole))


def _slope(xs: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of the logarithms by least squares."""
    return float(np.polyfit(np.log(xs), np.log(costs), 1)[0])


def table(found: Sequence[Curve]) -> Iterator[str]:
    """Yield the exponents, as lines of Markdown."""
    titles = {each.key: f"{each.cost}, by {each.axis}" for each in DIMENSIONS}
    yield "| cost | contender | from, to | exponent | steepest step | which is | verdict |"
    yield "|---|---|---|---:|---:|---|---|"
    for each in found:
        xs = sorted(each.points)
        yield (
            f"| {titles[each.dimension]} | {each.contender} | {xs[0]:,.0f} to {xs[-1]:,.0f} "
            f"| {spelled(each.exponent)} | {spelled(each.steepest)} "
            f"| {each.first:,.0f} to {each.last:,.0f} | {each.verdict} |"
        )


def spelled(estimate: Estimate | None) -> str:
    """Spell an exponent with its interval, if it has one."""
    if estimate is None:
        return ""
    value, low, high = (f"{number:.2f}" for number in estimate)
    return value if math.isnan(estimate.low) else f"{value} ({low} to {high})"


def begin(directory: Path, specs: Mapping[str, ContenderSpec], blocks: int, scale: Scale) -> Run:
    """Open the study's run, or make it."""
    if directory.exists():
        return Run.open(directory)
    return Run.create(
        directory.parent,
        Manifest(
            run=directory.name,
            profile="growth",
            seed=1,
            started_at=now(),
            specification=specification(blocks, scale),
            contenders=[describe(spec, say) for spec in specs.values()],
            environment=describe_environment(),
            asked=Asked(),
        ),
    )


def say(line: str) -> None:
    """Tell people how it goes on."""
    print(line, file=sys.stderr, flush=True)


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m raftmark.bench.studies.growth", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("directory", type=Path, help="where the study is kept, and goes on")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), metavar="A,B", help="who")
    parser.add_argument("--blocks", type=int, default=6, help="how often everything is measured")
    parser.add_argument(
        "--log-seconds",
        type=float,
        default=Scale().log_s,
        metavar="S",
        help="how long the log grows: ten million entries of the slowest take 150",
    )
    parser.add_argument(
        "--sessions",
        type=int,
        default=Scale().most_sessions,
        metavar="N",
        help="how many sessions there are in the end",
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="leave the rest then")
    parser.add_argument("--tables", action="store_true", help="print what was found, run nothing")
    asked = parser.parse_args()
    end_s = time.monotonic() + 60 * asked.minutes
    scale = Scale(asked.log_seconds, asked.sessions)
    known = Contenders(load_contenders())
    try:
        run = begin(
            asked.directory.resolve(),
            known.choose(asked.contenders.split(",")),
            asked.blocks,
            scale,
        )
        with run.lock():
            able = [e.name for e in run.manifest.contenders if e.unavailable is None]
            if not asked.tables:
                specs = {name: known[name] for name in able}
                counts = [n for n in SESSIONS if n <= scale.most_sessions]
                filled = {f"sessions-{n}": sessions(spec, counts) for n, spec in specs.items()}
                take_turns(run, specs, filled, say, lambda: time.monotonic() >= end_s)
            print("\n".join(table(list(curves(costs_of(run), able)))))
    except (StoreError, Unavailable) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
