"""What a run shows while it measures: a bar with the time left, or plain lines.

Plain lines are for whatever is no terminal: a log file, a CI job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from raftmark.bench.design.schedule import Planned
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.measure import Display
from raftmark.bench.runs.forms import Trial
from raftmark.terminal.console import harmless


class Pace:
    """Estimates the time left from how long trials took, against how long they should take."""

    def __init__(self, planned: Sequence[Planned], clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._usual = {trial.id: usual_duration(trial.cell) for trial in planned}
        self._left = sum(self._usual.values())
        self._done = 0.0
        self._started = clock()

    def ended(self, trial: str) -> None:
        """Note that a trial has ended."""
        usual = self._usual.pop(trial)
        self._left -= usual
        self._done += usual

    def seconds_left(self) -> float:
        """Return the time left: at first the usual time, then at the pace so far."""
        if not self._done:
            return self._left
        return self._left * (self._clock() - self._started) / self._done


def usual_duration(cell: Cell) -> float:
    """Return about how many seconds a trial takes, its start and its check included."""
    return 1.0 + cell.usual_s


@contextmanager
def show_progress(planned: Sequence[Planned], console: Console) -> Iterator[Display]:
    """Show the trials `planned`, as it fits the console, until the end of the block."""
    if not console.is_terminal:
        yield _Lines(planned, console)
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]} left"),
        TextColumn("{task.fields[failed]}"),
        TextColumn("{task.description}"),
    )
    # Drawn between trials only: redrawing takes CPU time from what is measured.
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        yield _Bar(planned, progress)


class _Lines:
    """A line for each trial that has ended."""

    def __init__(self, planned: Sequence[Planned], console: Console) -> None:
        self._pace = Pace(planned)
        self._console = console
        self._total = len(planned)
        self._count = 0

    def begins(self, planned: Planned) -> None:
        pass  # Its line is written when it has ended.

    def ended(self, trial: Trial) -> None:
        self._count += 1
        self._pace.ended(trial.trial)
        _print(
            self._console,
            f"[{self._count}/{self._total}] {trial.trial}: {_verdict(trial)}; "
            f"{_spell_time(self._pace.seconds_left())} left",
        )


class _Bar:
    """A bar with the time left and the trial under way, below a line for each failure."""

    def __init__(self, planned: Sequence[Planned], progress: Progress) -> None:
        self._pace = Pace(planned)
        self._progress = progress
        self._failures = 0
        left = _spell_time(self._pace.seconds_left())
        self._task = progress.add_task("", total=len(planned), left=left, failed="")

    def begins(self, planned: Planned) -> None:
        self._progress.update(self._task, description=escape(planned.id), refresh=True)

    def ended(self, trial: Trial) -> None:
        self._pace.ended(trial.trial)
        if trial.failure is not None:
            self._failures += 1
            _print(self._progress.console, f"{trial.trial}: {_verdict(trial)}")
        self._progress.update(
            self._task,
            advance=1,
            description="",
            left=_spell_time(self._pace.seconds_left()),
            failed=f"{self._failures} failed" if self._failures else "",
            refresh=True,
        )


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _verdict(trial: Trial) -> str:
    if trial.failure is None:
        return f"{trial.duration_s:.1f} s"
    return harmless(f"failed at {trial.failure.stage}: {trial.failure.message}")


def _spell_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
