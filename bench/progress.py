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

from bench.schedule import Planned
from bench.specification import Cell
from bench.store import Trial

Begins = Callable[[Planned], None]
Ended = Callable[[Trial], None]


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
    workload = cell.workload
    if workload["name"] == "election":
        low, high = cell.cluster["election_timeout_ms"]
        return 0.5 + float(workload["elections"] * (low + high) / 1000)
    return 1.0 + float(workload["warmup_s"] + workload["duration_s"])


@contextmanager
def show_progress(planned: Sequence[Planned], console: Console) -> Iterator[tuple[Begins, Ended]]:
    """Show the trials `planned` as they begin and end, by calling the two functions."""
    pace = Pace(planned)
    failures = 0
    if not console.is_terminal:
        count = 0

        def line(trial: Trial) -> None:
            nonlocal count
            count += 1
            pace.ended(trial.trial)
            console.print(
                f"[{count}/{len(planned)}] {trial.trial}: {_verdict(trial)}; "
                f"{_spell_time(pace.seconds_left())} left",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

        yield lambda trial: None, line
        return

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]} left"),
        TextColumn("{task.fields[failed]}"),
        TextColumn("{task.description}"),
    )
    # Drawn between trials only: redrawing takes CPU time from what is measured.
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        left = _spell_time(pace.seconds_left())
        task = bar.add_task("", total=len(planned), left=left, failed="")

        def begins(trial: Planned) -> None:
            bar.update(task, description=escape(trial.id), refresh=True)

        def ended(trial: Trial) -> None:
            nonlocal failures
            pace.ended(trial.trial)
            if trial.failure is not None:
                failures += 1
                bar.console.print(
                    f"{trial.trial}: {_verdict(trial)}", markup=False, highlight=False
                )
            bar.update(
                task,
                advance=1,
                left=_spell_time(pace.seconds_left()),
                failed=f"{failures} failed" if failures else "",
                refresh=True,
            )

        yield begins, ended
        bar.update(task, description="")


def _verdict(trial: Trial) -> str:
    if trial.failure is None:
        return f"{trial.duration_s:.1f} s"
    return f"failed at {trial.failure.stage}: {trial.failure.message}"


def _spell_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
