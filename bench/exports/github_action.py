"""github-action-benchmark's two custom JSONs: its direction holds for a whole file.

An array of `name`, `unit`, `value`, and as texts `range` and `extra`. The value is the median over
processes, the range the larger half of its 95 % interval.
"""

from __future__ import annotations

import json

from raftmark.bench.exports.series import Series, all_series, has_interval, named, runtime
from raftmark.bench.runs.store import Run


def bigger_is_better(run: Run) -> dict[str, str]:
    """Return the metrics of which more is better."""
    return _file(run, "customBiggerIsBetter", bigger=True)


def smaller_is_better(run: Run) -> dict[str, str]:
    """Return the metrics of which less is better."""
    return _file(run, "customSmallerIsBetter", bigger=False)


def _file(run: Run, name: str, *, bigger: bool) -> dict[str, str]:
    entries = [
        _entry(series) for series in all_series(run) if series.metric.higher_is_better == bigger
    ]
    return {f"{name}.json": json.dumps(entries, indent=2, ensure_ascii=False) + "\n"}


def _entry(series: Series) -> dict[str, str | float]:
    value, low, high = estimate = series.estimate()
    entry: dict[str, str | float] = {
        "name": named(series.cell.id, series.contender.name, series.metric.key),
        "unit": series.metric.unit or "1",
        "value": value,
    }
    extra = [f"median of {len(series.values)} processes", runtime(series.contender)]
    if has_interval(estimate):
        entry["range"] = f"± {max(value - low, high - value):.6g}"
        extra.insert(1, f"95 % interval {low:.6g} to {high:.6g}")
    return entry | {"extra": "\n".join(extra)}
