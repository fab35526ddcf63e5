"""The run itself: trial after trial in the schedule's order, each kept as soon as it ends.

Blocks are complete in themselves, so each may be measured on another host, and several at a time on
as many; the trials of a block are measured on one, one by one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from enum import Enum
from itertools import groupby, zip_longest
from typing import Protocol

import msgspec

from raftmark.bench.design.schedule import Planned, left
from raftmark.bench.experiment.host import Host, HostGone
from raftmark.bench.experiment.trial import failed_trial, skipped_trial
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run


class End(Enum):
    """Why the measuring ended."""

    COMPLETE = "complete"
    OUT_OF_TIME = "out of time"
    HOST_LOST = "a host was lost"


class Display(Protocol):
    """What is told of each trial as it begins and ends."""

    def begins(self, planned: Planned) -> None:
        """Show that a trial begins."""

    def ended(self, trial: Trial) -> None:
        """Show how it ended."""


def measure(run: Run, hosts: Sequence[Host], display: Display) -> End:
    """Run the trials that a run still lacks, and keep each as it ends.

    An interruption loses the trials under way and nothing else. Raises `StoreError` when a result
    cannot be kept.
    """
    ledger = Ledger(run, display)
    blocks = Blocks(remaining(run), _measured_on(run))
    try:
        if len(hosts) == 1:
            return work(hosts[0], blocks, ledger)
        return _side_by_side(hosts, blocks, ledger)
    finally:
        for host in hosts:
            host.end()


class Blocks:
    """What there is to measure, given away block by block; any thread may ask.

    A block that was begun goes to the host that has measured its beginning, if that one asks before
    the others have measured all else: its ratios hold on one machine.
    """

    def __init__(self, trials: Sequence[Planned], begun_on: dict[int, str | None]) -> None:
        blocks = groupby(trials, lambda planned: planned.block)
        self._left = [list(block) for _, block in blocks]
        self._begun_on = begun_on
        self._lock = threading.Lock()

    def next(self, name: str | None) -> list[Planned]:
        """Return the next block for a host, nothing when there is none left."""

        def rank(block: list[Planned]) -> int:
            """Its own block first, then those that nobody has begun, then another's."""
            number = block[0].block
            if number not in self._begun_on:
                return 1
            return 0 if self._begun_on[number] == name else 2

        with self._lock:
            if not self._left:
                return []
            block = min(self._left, key=rank)
            self._left.remove(block)
            return block


class Ledger:
    """Keeps what comes of the trials of a run; any thread may call."""

    def __init__(
        self, run: Run, display: Display, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.specification = run.manifest.specification
        self._run = run
        self._display = display
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Keep nothing any more: what comes of a trial from now on is of one that was cut short."""
        with self._lock:
            self._closed = True

    def is_out_of_time(self) -> bool:
        """Whether no further trial is to begin."""
        budget_s = self.specification.budget_s
        late = budget_s is not None and self._clock() - self._started > budget_s
        return self._closed or late

    def begins(self, planned: Planned) -> str | None:
        """Note that a trial begins, unless there is a reason to give it up, which is returned."""
        with self._lock:
            self._display.begins(planned)
            lost_s = sum(
                trial.duration_s
                for trial in self._run.trials
                if trial.contender == planned.contender and trial.status == "failed"
            )
        if lost_s <= self.specification.patience_s:
            return None
        return (
            f"not tried: {planned.contender} has already cost this run "
            f"{lost_s:.0f} s in failed trials"
        )

    def keep(self, trial: Trial) -> None:
        """Add a trial to the run."""
        with self._lock:
            if self._closed:
                return
            self._run.append(trial)
            self._display.ended(trial)


def work(host: Host, blocks: Blocks, ledger: Ledger) -> End:
    """Measure blocks on one host, until none is left or the host is gone.

    What is left of the block of a host that is gone stays unmeasured: the run can be resumed.
    """
    while block := blocks.next(host.name):
        for planned, following in zip_longest(block, block[1:]):
            if ledger.is_out_of_time():
                return End.OUT_OF_TIME
            if (reason := ledger.begins(planned)) is not None:
                host.rest()
                ledger.keep(_at(skipped_trial(planned, reason), host))
                continue
            began_s = time.monotonic()
            try:
                leaves = left(ledger.specification, planned, following)
                trial = host.run(planned, leaves, following)
            except HostGone as error:
                lost = failed_trial(planned, str(error), time.monotonic() - began_s)
                ledger.keep(_at(lost, host))
                return End.HOST_LOST
            ledger.keep(_at(trial, host))
    return End.COMPLETE


def _side_by_side(hosts: Sequence[Host], blocks: Blocks, ledger: Ledger) -> End:
    """Measure on all hosts at once; an interruption, or what else ends one's work, ends all."""
    with ThreadPoolExecutor(len(hosts), thread_name_prefix="host") as threads:
        working = [threads.submit(work, host, blocks, ledger) for host in hosts]
        try:
            wait(working, return_when=FIRST_EXCEPTION)
        finally:
            ledger.close()
            for host in hosts:
                host.end()  # None waits for its trial any longer.
    return max((each.result() for each in working), key=list(End).index)


def _at(trial: Trial, host: Host) -> Trial:
    return trial if host.name is None else msgspec.structs.replace(trial, host=host.name)


def _measured_on(run: Run) -> dict[int, str | None]:
    """Return the host of each block that was begun: the first one, if there were several."""
    found: dict[int, str | None] = {}
    for trial in run.trials:
        found.setdefault(trial.block, trial.host)
    return found
