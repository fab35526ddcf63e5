"""Go's text form of benchmarks, for benchstat: one line per process, everything of it in the line.

A name has its parts as `/key=value`, so that `benchstat -col /impl` sets contenders side by side.
benchstat cuts `-N` off the end of a name and takes it for GOMAXPROCS; no name ends so here.
"""

from __future__ import annotations

from collections import defaultdict

from raftmark.bench.analysis.metrics import Metric
from raftmark.bench.design.specification import Cell
from raftmark.bench.exports.series import all_series, environment_text, timed
from raftmark.bench.files import escaped
from raftmark.bench.runs.store import Run

# What a name's part is called where the protocol's field has a longer name.
_SHORT = {"outstanding": "w", "election_timeout_ms": "timeout"}
_IN_NAME = ("outstanding", "payload", "rate", "entries", "by", "lagging", "storage")


def benchstat(run: Run) -> dict[str, str]:
    """Return one text with every trial's figures."""
    lines: defaultdict[tuple[str, int, str], list[str]] = defaultdict(list)
    better: dict[str, str] = {}
    for series in all_series(run):
        name = benchmark_name(series.cell, series.contender.name)
        found = timed(series)
        for index, trial in enumerate(series.trials):
            figures = lines[(name, trial.block, trial.trial)]
            if found is not None:
                unit = "ns/op" if found.key == "seconds_per_command" else f"{_unit(found.key)}-ns"
                figures.append(f"{found.seconds[index] * 1e9:.12g} {unit}")
                better[unit] = "lower"
            if found is None or series.metric.higher_is_better:
                unit = _unit_of(series.metric)
                figures.append(f"{series.values[index]:.12g} {unit}")
                better[unit] = "higher" if series.metric.higher_is_better else "lower"
    header = {
        "goos": environment_text(run, "kernel", "system").lower(),
        "goarch": environment_text(run, "kernel", "architecture"),
        "pkg": "raftmark",
        "cpu": environment_text(run, "pyperf", "cpu_model_name"),
        "run": run.manifest.run,
    }
    return {
        "benchstat.txt": "\n".join(
            [
                *(f"{key}: {value}" for key, value in header.items() if value),
                *(f"Unit {unit} better={which}" for unit, which in better.items()),
                # The second field is how often Go ran the loop: a process is one here.
                *(f"{name} 1 {' '.join(figs)}" for (name, _, _), figs in lines.items()),
            ]
        )
        + "\n"
    }


def benchmark_name(cell: Cell, contender: str) -> str:
    """Return a benchmark's name: the workload, what shapes it, `impl` and `nodes`."""
    fields = cell.workload | cell.cluster
    parts = {key: fields[key] for key in _IN_NAME if key in fields}
    if cell.workload["name"] in ("election", "failover", "stability"):
        parts["election_timeout_ms"] = "-".join(map(str, fields["election_timeout_ms"]))
    parts["impl"] = contender
    parts["nodes"] = fields["nodes"]
    title = cell.workload["name"].title().replace("_", "")
    named = (f"{_SHORT.get(key, key)}={_word(value)}" for key, value in parts.items())
    return "/".join([f"Benchmark{title}", f"cell={_word(cell.id)}", *named])


def _word(value: object) -> str:
    return escaped(str(value))


def _unit(key: str) -> str:
    return key.replace("_", "-")


def _unit_of(metric: Metric) -> str:
    if metric.key == "throughput":
        return metric.unit
    return "-".join(filter(None, [_unit(metric.key), metric.unit]))
