"""CSV: `figures.csv`, one row per trial and metric, and `trials.csv`, one row per trial.

Tidy: every row has all that identifies it, so that the tables can be filtered, joined and stacked
with those of other runs. Failed trials are in `trials.csv`, with why.
"""

from __future__ import annotations

import csv as tool
import io
from collections.abc import Iterable, Sequence

from raftmark.bench.analysis.metrics import values
from raftmark.bench.exports.series import runtime
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")
_IDENTITY = ("run", "trial", "cell", "workload", "block", "order", "contender", "label", "runtime")


def csv(run: Run) -> dict[str, str]:
    """Return both tables."""
    return {"figures.csv": _figures(run), "trials.csv": _trials(run)}


def _figures(run: Run) -> str:
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    return _table(
        (*_IDENTITY, "metric", "unit", "higher_is_better", "value"),
        (
            (*_identity(run, trial), metric.key, metric.unit, metric.higher_is_better, value)
            for trial in run.trials
            for metric, value in values(cells[trial.cell], trial).items()
        ),
    )


_TRIAL = ("status", "stage", "message", "checked_entries", "started_at", "duration_s")
_COST = ("cpu_s", "peak_rss_bytes", "voluntary_switches", "involuntary_switches")
_MACHINE = ("load_1m", "steal_share", "busy_share")


def _trials(run: Run) -> str:
    return _table(
        (*_IDENTITY, *_TRIAL, *_COST, *_MACHINE),
        (
            (
                *_identity(run, trial),
                trial.status,
                trial.failure.stage if trial.failure else None,
                trial.failure.message if trial.failure else None,
                trial.check.entries if trial.check else None,
                trial.started_at,
                trial.duration_s,
                *(getattr(trial.cost, key, None) for key in _COST),
                *(getattr(trial.machine, key, None) for key in _MACHINE),
            )
            for trial in run.trials
        ),
    )


def _identity(run: Run, trial: Trial) -> tuple[object, ...]:
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    entries = {entry.name: entry for entry in run.manifest.contenders}
    entry = entries[trial.contender]
    return (
        run.manifest.run,
        trial.trial,
        trial.cell,
        cells[trial.cell].workload["name"],
        trial.block,
        trial.order,
        trial.contender,
        entry.label,
        runtime(entry),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = tool.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(map(_inert, row) for row in rows)
    return text.getvalue()


def _inert(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula: a quotation mark goes before it."""
    # One that begins with the mark itself gets another, or two texts would become one.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value
