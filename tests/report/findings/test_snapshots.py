"""What snapshots cost is said where the same load was measured with them and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.estimates import Estimates
from raftmark.report.findings.loads import plain_loads
from raftmark.report.findings.snapshots import sentences
from raftmark.report.pages.sections import scaling
from tests.report.synthetic_runs import _replicate_cell, alike

Examine = Callable[..., Analysis]


def snapshots(cell: dict[str, Any]) -> dict[str, Any]:
    """Return the same cell with snapshots."""
    cluster = {**cell["cluster"], "snapshot_entries": 16384}
    return {**cell, "id": f"{cell['id']}-snapshots", "cluster": cluster}


def cells() -> list[dict[str, Any]]:
    """Return the loads of a run with snapshots: 64 outstanding, and 16 without its like."""
    return [snapshots(_replicate_cell(64)), snapshots(_replicate_cell(16))]


def slower(analysis: Analysis, name: str, by: float) -> Analysis:
    """Return the same, but for a contender's throughput with snapshots."""
    measured = tuple(
        replace(trial, values={**trial.values, THROUGHPUT: by * trial.values[THROUGHPUT]})
        if trial.contender == name and trial.cell.endswith("-snapshots")
        else trial
        for trial in analysis.evidence.measured
    )
    evidence = replace(analysis.evidence, measured=measured)
    return replace(analysis, evidence=evidence, estimates=Estimates(evidence))


def test_what_snapshots_cost_is_said_of_each_contender(examine: Examine) -> None:
    analysis = examine(
        behaviours=alike(spread=0.01), outstanding=(64,), timeouts_ms=(), others=cells(), blocks=10
    )
    assert [cell.id for cell in plain_loads(analysis.evidence)] == ["replicate-w64"]
    equal = sentences(analysis)
    assert len(equal) == len(analysis.shown)
    assert all(said.endswith("makes no difference that this run can tell.") for said in equal)
    found = {said.partition(",")[0]: said for said in sentences(slower(analysis, "threading", 0.8))}
    assert found["Python threads"].startswith(
        "Python threads, 64 commands outstanding: a snapshot every 16,384 entries leaves 1/1.2"
    )
    assert found["Go goroutines"].endswith("makes no difference that this run can tell.")
    section = scaling.section(analysis)
    assert section is not None
    assert section.facts["snapshots"] == equal


def test_nothing_is_said_where_there_is_nothing_to_compare_with(examine: Examine) -> None:
    analysis = examine(behaviours=alike(), outstanding=(1,), timeouts_ms=(), others=cells())
    assert sentences(analysis) == []
