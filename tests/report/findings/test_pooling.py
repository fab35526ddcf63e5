"""Several runs together: the run is the unit, and what moves from run to run is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.report.findings.about import brief
from raftmark.report.findings.analysis import Analysis, analyse
from raftmark.report.findings.answers import answers
from raftmark.report.findings.evidence import gather
from raftmark.report.findings.pooling import PoolError, pool
from raftmark.report.pages.sections import SECTIONS
from tests.report.synthetic_runs import REALISTIC, write_run

SMALL: dict[str, Any] = {
    "outstanding": (1, 64),
    "timeouts_ms": ((150, 300),),
    "elections": 2,
    "blocks": 3,
}

REVISED: dict[str, Any] = {"project": {"commit": "2" * 40, "dirty": False}}
CHANGED: dict[str, Any] = {"environment": {"project": {"commit": "1" * 40, "dirty": True}}}

Pooled = Callable[..., Analysis]


@pytest.fixture
def pooled(tmp_path: Path) -> Pooled:
    """Analyse runs in each of which Go is so many times as fast as usual."""

    def analyse_all(*speeds: float, twins: tuple[str | None, ...] = (None,)) -> Analysis:
        runs = []
        for number, speed in enumerate(speeds):
            go = REALISTIC["go"]
            go = replace(go, capacity=speed * go.capacity, latency_us=go.latency_us / speed)
            directory = write_run(
                tmp_path / f"run-{number}",
                {**REALISTIC, "go": go},
                seed=number,
                twin=twins[number % len(twins)],
                **SMALL,
            )
            runs.append(Run.open(directory))
        return analyse(runs[-1], load_contenders(), {}, pooled=runs[:-1])

    return analyse_all


def test_a_figure_is_the_median_of_the_runs_medians(pooled: Pooled, tmp_path: Path) -> None:
    analysis = pooled(1, 1, 1, 1, 1)
    throughput = next(h for h in analysis.headlines if h.key == "throughput")
    medians = []
    for number in range(5):
        evidence = gather(Run.open(tmp_path / f"run-{number}"))
        (cell,) = evidence.cells_of("replicate", lambda c: c.workload["outstanding"] == 64)
        (metric,) = (m for m in evidence.metrics(cell) if m.key == "throughput")
        medians.append(median(evidence.samples(cell, metric)["go"].values()))
    assert throughput.figures["go"].blocks == 5
    assert throughput.figures["go"].value == pytest.approx(median(medians))
    assert brief(analysis).endswith("measured in 5 runs.")
    assert analysis.missing == 0


def test_what_moves_from_run_to_run_is_told(pooled: Pooled) -> None:
    still = {headline.key: headline.drift for headline in pooled(1, 1, 1, 1, 1).headlines}
    for key in ("alone", "throughput"):
        drift = still[key]
        assert drift is not None
        assert drift < 1.15
    assert still["tokens"] is None


def test_what_moves_from_run_to_run_is_in_the_intervals(pooled: Pooled) -> None:
    moving = pooled(0.7, 1.4, 1, 0.8, 1.3)
    throughput = next(h for h in moving.headlines if h.key == "throughput")
    # Go's three ratios of six move by a deviation of 0.31, the others do not.
    assert throughput.drift is not None
    assert math.log(throughput.drift) / 1.96 == pytest.approx(0.31 / math.sqrt(2), rel=0.35)
    ratio = throughput.pairs["go", "asyncio"].ratio
    assert ratio is not None
    assert ratio.interval is not None
    assert ratio.interval[0] < 0.7 * ratio.value < 1.4 * ratio.value < ratio.interval[1]
    assert any(s.text.startswith("From run to run ") for s in answers(moving))


def test_a_page_can_be_made_of_pooled_runs_with_other_twins(pooled: Pooled) -> None:
    analysis = pooled(1, 1, 1, twins=("go", "asyncio", "threading"))
    assert {c.name for c in analysis.contenders.values() if c.twin} == {"threading~"}
    assert analysis.missing == 0
    assert len([made for make in SECTIONS if (made := make(analysis)) is not None]) > 8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{}, {}], "it takes 3 runs or more to pool, not 2"),
        ([{}, {}, {"outstanding": (1,)}], "differ in what was measured"),
        ([{}, {}, {"elections": 3}], "differ in what was measured, or for how long"),
        ([{}, {}, {"environment": REVISED}], "differ in the revision that was measured"),
        ([CHANGED, CHANGED, {}], "differ in the revision that was measured"),
        ([{}, {}, {"behaviours": {"go": REALISTIC["go"]}}], "differ in contenders"),
        ([{}, {}, {"environment": {"machine": {"cpus_usable": 64}}}], "differ in the machine"),
    ],
)
def test_what_is_not_one_is_refused(
    tmp_path: Path, changes: list[dict[str, Any]], said: str
) -> None:
    runs = [
        Run.open(write_run(tmp_path / f"run-{number}", **{**SMALL, **change}))
        for number, change in enumerate(changes)
    ]
    with pytest.raises(PoolError, match=said):
        pool(runs)


def test_a_run_is_pooled_once(tmp_path: Path) -> None:
    run = Run.open(write_run(tmp_path / "run", **SMALL))
    with pytest.raises(PoolError, match="named twice"):
        pool([run, run, run])
