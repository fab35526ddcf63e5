"""What a run is to hold, and what it still lacks."""

from __future__ import annotations

from raftmark.bench.design.schedule import Planned, schedule
from raftmark.bench.runs.forms import Manifest
from raftmark.bench.runs.store import Run


def expected(manifest: Manifest) -> list[Planned]:
    """Return the trials of a run, in order: those that its contenders can be asked for.

    What some contender cannot do changes nothing in the order of the others.
    """
    entries = {e.name: e for e in manifest.contenders if e.unavailable is None}
    planned = schedule(manifest.specification, list(entries), manifest.seed)
    return [trial for trial in planned if not entries[trial.contender].lacks(trial.cell)]


def remaining(run: Run) -> list[Planned]:
    """Return the trials of a run that have not ended yet, in order."""
    ended = {trial.trial for trial in run.trials}
    return [trial for trial in expected(run.manifest) if trial.id not in ended]
