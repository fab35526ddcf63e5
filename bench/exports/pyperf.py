"""pyperf's JSON: a file per contender, so that `pyperf compare_to` sets two beside each other.

pyperf knows seconds, bytes and integers, and takes more for slower: throughput is kept as seconds
per command, and what is neither a time nor a size is left out. It holds the values of one process
for independent, so each trial is a run of its own with one value. Only values above nothing are
allowed; a series with another one is left out.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import pyperf as tool

from raftmark.bench.exports.series import (
    Series,
    all_series,
    environment_text,
    named,
    revision,
    runtime,
    timed,
)
from raftmark.bench.files import file_name
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run

_MACHINE = ("aslr", "cpu_affinity", "cpu_config", "cpu_count", "cpu_model_name", "platform")


class _Values(NamedTuple):
    name: str
    unit: str
    values: list[float] | list[int]


def pyperf(run: Run) -> dict[str, str]:
    """Return a suite of benchmarks for each contender."""
    benchmarks = defaultdict(list)
    for series in all_series(run):
        for found in _values(series):
            if min(found.values) > 0:
                benchmarks[series.contender.name].append(_benchmark(run, series, found))
    files = {}
    for contender, suite in benchmarks.items():
        text = io.StringIO()
        tool.BenchmarkSuite(suite).dump(text, compact=False)
        files[f"{file_name(contender)}.json"] = text.getvalue()
    return files


def _values(series: Series) -> Iterator[_Values]:
    if (found := timed(series)) is not None:
        yield _Values(named(series.cell.id, found.key), "second", found.seconds)
    elif series.metric.key == "peak_memory":
        sizes = [round(value) for value in series.values]
        yield _Values(named(series.cell.id, series.metric.key), "byte", sizes)


def _benchmark(run: Run, series: Series, found: _Values) -> tool.Benchmark:
    return tool.Benchmark(
        [
            tool.Run(
                [value],
                metadata={"name": found.name, "unit": found.unit, **_metadata(run, series, trial)},
                collect_metadata=False,
            )
            for trial, value in zip(series.trials, found.values, strict=True)
        ]
    )


def _commit(run: Run) -> str:
    found = revision(run)
    return f"{found.get('commit') or ''}{' with changes' * bool(found.get('dirty'))}"


def _metadata(run: Run, series: Series, trial: Trial) -> dict[str, str | int | float]:
    said: dict[str, str | int | float] = {
        "raftmark_run": run.manifest.run,
        "raftmark_cell": series.cell.id,
        "raftmark_contender": series.contender.name,
        "raftmark_block": trial.block,
        "runtime": runtime(series.contender),
        "description": f"{series.contender.label_on_disk}: {series.cell.id}, {series.metric.title}",
        "commit": _commit(run),
        "date": trial.started_at.removesuffix("Z").replace("T", " "),
        "duration": trial.duration_s,
        "loops": 1,
        **{key: environment_text(run, "pyperf", key) for key in _MACHINE},
    }
    if trial.machine is not None:
        said["load_avg_1min"] = trial.machine.load_1m
    # pyperf refuses a text that is empty, and a duration of nothing.
    return {
        key: value
        for key, value in said.items()
        if (value != "" and value != 0.0) or key == "raftmark_block"
    }
