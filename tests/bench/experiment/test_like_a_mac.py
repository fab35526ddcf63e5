"""A block is measured where /proc is missing, and all else that macOS lacks.

This cannot show that a Mac does what is asked of it, only that nothing else is asked of it.
"""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import msgspec
import psutil
import pytest

from raftmark.bench.analysis.metrics import CPU_PER_COMMAND, PEAK_MEMORY, THROUGHPUT, values
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.cells import replicate_cell
from raftmark.bench.experiment import cost
from raftmark.bench.experiment.doctor import Fitness, examine
from raftmark.bench.experiment.entries import describe
from raftmark.bench.experiment.environment import describe_environment
from raftmark.bench.runs.store import Run
from raftmark.report.pages.build import write_report

from ..support import PATIENCE, manifest, measure_quietly

PYTHONS = ("threading", "asyncio", "multiprocessing")


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The harness without what a Mac lacks."""
    monkeypatch.setattr(cost, "_PROC", tmp_path / "no-proc")
    monkeypatch.delattr(os, "fdatasync")
    monkeypatch.delattr(os, "sched_getaffinity")
    real, fields = psutil.cpu_times, ("user", "nice", "system", "idle")
    times = namedtuple("times", fields)
    monkeypatch.setattr(psutil, "cpu_times", lambda: times(*(getattr(real(), f) for f in fields)))


@pytest.mark.slow
def test_a_block_is_measured_and_what_is_not_told_is_left_open(mac, tmp_path):
    script = str(Path(__file__).with_name("like_a_mac.py"))
    specs = load_contenders()
    for name in PYTHONS:
        python, _, module = specs[name].command
        specs[name] = msgspec.structs.replace(
            specs[name], command=[python, script, str(tmp_path / f"{name}-syncs"), module]
        )
    entries = [describe(spec, print) for spec in specs.values()]
    # Many ticks of what it takes, by which alone its CPU time is told.
    cell = replicate_cell(4, storage="disk", warmup_s=0.1, duration_s=1)
    patient = {**cell.cluster, "election_timeout_ms": [1000, 2000]}
    cell = msgspec.structs.replace(cell, cluster=patient, timeout_s=PATIENCE)
    plan = manifest(list(specs), [cell], blocks=1, contenders=entries)
    run = Run.create(tmp_path, msgspec.structs.replace(plan, environment=describe_environment()))
    measure_quietly(run, specs)

    assert {trial.contender: trial.failure for trial in run.trials} == dict.fromkeys(specs)
    for trial in run.trials:
        found = values(cell, trial)
        assert found[THROUGHPUT] > 0
        assert found[CPU_PER_COMMAND] > 0
        assert PEAK_MEMORY not in found
        assert trial.cost.voluntary_switches is trial.cost.involuntary_switches is None
        assert trial.machine.steal_share is trial.machine.cpu_pressure is None
    synced = {name: (tmp_path / f"{name}-syncs").stat().st_size for name in PYTHONS}
    assert min(synced.values()) > 0
    write_report(run, run.path / "report.html")


def test_a_machine_that_does_not_tell_is_examined_all_the_same(mac, tmp_path):
    found = {finding.what: finding for finding in examine(tmp_path, tmp_path)}
    assert found["steal"].fitness is found["pressure"].fitness is Fitness.UNKNOWN
    assert found["processors"].state == f"{os.cpu_count()} usable of {os.cpu_count()}"
