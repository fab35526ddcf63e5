"""CSV: `figures.csv`, `values.csv` and `trials.csv`.

The first two are the tables of `bench.analysis.tables`; in the third, a row a trial, are those that
failed, too, with why.
"""

from __future__ import annotations

from raftmark.bench.analysis.tables import FIGURES, VALUES, figure_rows, to_csv, value_rows
from raftmark.bench.exports.series import runtime
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run

_IDENTITY = ("run", "trial", "cell", "workload", "block", "order", "contender", "label", "runtime")


def csv(run: Run) -> dict[str, str]:
    """Return all three tables."""
    return {
        "figures.csv": to_csv(FIGURES, figure_rows(run)),
        "values.csv": to_csv(VALUES, value_rows(run)),
        "trials.csv": _trials(run),
    }


_TRIAL = ("status", "stage", "message", "checked_entries", "started_at", "duration_s")
_COST = ("cpu_s", "peak_rss_bytes", "voluntary_switches", "involuntary_switches")
_MACHINE = ("load_1m", "steal_share", "busy_share")


def _trials(run: Run) -> str:
    return to_csv(
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
        entry.label_on_disk,
        runtime(entry),
    )
