"""A results directory of airspeed velocity, which files results by machine and commit.

A benchmark is a cell and a metric, its one parameter the contender; the samples are the processes'
values. asv takes lower as better, so throughput is kept as seconds per command, and what else is
better when higher is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from raftmark.bench import git
from raftmark.bench.analysis.statistics import median_interval
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.exports.series import (
    ExportError,
    Series,
    all_series,
    environment_text,
    revision,
    timed,
)
from raftmark.bench.runs.store import Run

# The versions of asv's own files.
_RESULTS, _BENCHMARKS, _MACHINE, _CONFIGURATION = 2, 2, 1, 1
_ENVIRONMENT = "raftmark"
_COLUMNS = (
    *("result", "params", "version", "started_at", "duration"),
    *("stats_ci_99_a", "stats_ci_99_b", "stats_q_25", "stats_q_75", "stats_number"),
    *("stats_repeat", "samples"),
)


def asv(run: Run) -> dict[str, str]:
    """Return the directory's files; `asv.conf.json` names the repository that the command is in.

    Raises `ExportError` for a run that was measured outside of git, or with changes that are in no
    commit.
    """
    measured = revision(run)
    commit = measured.get("commit")
    if not isinstance(commit, str):
        raise ExportError("asv files results by commit, and this run was measured outside of git")
    if measured.get("dirty"):
        raise ExportError(
            "asv files results by commit, and this run was measured with changes to "
            f"{commit[:10]}: commit them and measure again"
        )
    by_benchmark: defaultdict[str, list[Series]] = defaultdict(list)
    for series in all_series(run):
        if timed(series) is not None or not series.metric.higher_is_better:
            by_benchmark[_name(series)].append(series)
    machine = _machine(run)
    files = {
        "asv.conf.json": {
            "version": _CONFIGURATION,
            "project": "Raftmark",
            "repo": str(git.top(Path.cwd()) or ROOT),
            "branches": ["HEAD"],
            "environment_type": "existing",
            "results_dir": "results",
            "html_dir": "html",
        },
        "results/benchmarks.json": {
            **{name: _benchmark(name, found) for name, found in by_benchmark.items()},
            "version": _BENCHMARKS,
        },
        f"results/{machine['machine']}/machine.json": {**machine, "version": _MACHINE},
        f"results/{machine['machine']}/{commit[:8]}-{_ENVIRONMENT}.json": {
            "commit_hash": commit,
            "env_name": _ENVIRONMENT,
            "date": _javascript_time(run.manifest.started_at),
            "params": machine,
            "python": "",
            "requirements": {},
            "env_vars": {},
            "result_columns": _COLUMNS,
            "results": {name: _results(run, found) for name, found in by_benchmark.items()},
            "durations": {},
            "version": _RESULTS,
        },
    }
    return {name: json.dumps(content, indent=1) + "\n" for name, content in files.items()}


def _name(series: Series) -> str:
    found = timed(series)
    # A name that Python could have, and no two cells' one: hyphens, and Z for all that is rare.
    cell = re.sub(
        r"[^0-9A-Ya-z]",
        lambda found: "_" if found[0] == "-" else f"Z{ord(found[0]):x}Z",
        series.cell.id,
    )
    return f"{cell}.{series.metric.key if found is None else found.key}"


def _benchmark(name: str, found: list[Series]) -> dict[str, Any]:
    is_time = timed(found[0]) is not None
    metric, cell = found[0].metric, found[0].cell
    is_size = metric.key == "peak_memory"
    described = f"{cell.id}: {name.rpartition('.')[2] if is_time else metric.title}"
    return {
        "name": name,
        "pretty_name": described,
        "code": "",
        "type": "time" if is_time else "peakmemory" if is_size else "track",
        "unit": "seconds" if is_time else metric.unit or "1",
        "params": [[repr(series.contender.name) for series in found]],
        "param_names": ["contender"],
        # Results are comparable while what is asked of a contender is the same.
        "version": hashlib.sha256(
            json.dumps([cell.workload, cell.cluster], sort_keys=True).encode()
        ).hexdigest(),
        "timeout": cell.timeout_s,
    }


def _results(run: Run, found: list[Series]) -> list[Any]:
    name = _name(found[0])
    benchmark = _benchmark(name, found)
    samples = [series.values if (t := timed(series)) is None else t.seconds for series in found]
    low, high = zip(*(_interval_99(values) for values in samples), strict=True)
    return [
        [float(np.median(values)) for values in samples],
        benchmark["params"],
        benchmark["version"],
        _javascript_time(run.manifest.started_at),
        sum(trial.duration_s for series in found for trial in series.trials),
        low,
        high,
        [float(np.quantile(values, 0.25)) for values in samples],
        [float(np.quantile(values, 0.75)) for values in samples],
        [1 for _ in samples],
        [len(values) for values in samples],
        samples,
    ]


def _interval_99(values: list[float]) -> tuple[float, float]:
    """Return the 99 % interval of the median; as asv has it, infinite for a single value."""
    _, low, high = median_interval(values, 0.99)
    return (-math.inf, math.inf) if math.isnan(low) else (low, high)


def _machine(run: Run) -> dict[str, str]:
    """Return asv's description of the machine, which it files results by; it names no host."""
    cpu = environment_text(run, "pyperf", "cpu_model_name") or "unknown-cpu"
    cpus = environment_text(run, "machine", "cpus")
    return {
        "machine": re.sub(r"[^a-z0-9]+", "-", f"{cpu} {cpus}".lower()).strip("-"),
        "os": f"{environment_text(run, 'kernel', 'system')} "
        f"{environment_text(run, 'kernel', 'release')}".strip(),
        "arch": environment_text(run, "kernel", "architecture"),
        "cpu": cpu,
        "num_cpu": cpus,
        "ram": environment_text(run, "machine", "memory_bytes"),
    }


def _javascript_time(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
