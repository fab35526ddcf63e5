"""Bencher Metric Format: benchmarks by name, in each its measures with their bounds.

The value is the median over processes, the bounds its 95 % interval. A measure is named by the slug
that Bencher keeps it under; `throughput` is one of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict

from raftmark.bench.exports.series import all_series, has_interval, named
from raftmark.bench.runs.store import Run


def bencher(run: Run) -> dict[str, str]:
    """Return every metric of every contender in every cell."""
    benchmarks: defaultdict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for series in all_series(run):
        value, low, high = estimate = series.estimate()
        measure = {"value": value}
        if has_interval(estimate):
            measure |= {"lower_value": low, "upper_value": high}
        name = named(series.cell.id, series.contender.name)
        benchmarks[name][series.metric.key.replace("_", "-")] = measure
    return {"bencher.json": json.dumps(benchmarks, indent=2) + "\n"}
