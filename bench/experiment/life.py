"""The process that the trials of a block share, where a run lets them: a contender's, in its turn.

Each trial has a cluster of its own in it, started, checked and stopped like any other. The process
stays the unit: what comes of it in a block are readings of one. It ends with the last of them, or
with the first that fails, after which the next has a fresh one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from raftmark.bench.contenders.contender import Contender
from raftmark.bench.contenders.guardian import Guardian


class Life:
    """A contender's process from its launch on, None where there is none at the time.

    A `guardian` ends it, should the harness be killed: what ignores the end of its input, too.
    """

    def __init__(self, guardian: Guardian | None = None) -> None:
        self._guardian = guardian
        self._contender: Contender | None = None
        self.log: Path | None = None
        """Where its standard error goes."""
        self.launched_ns = 0
        self.events_before = 0
        """How many events were of earlier trials."""
        self.fresh = True
        """Whether the present trial is its first."""
        self.goes_on = False
        """Whether there is another trial for it after the present one."""

    @contextmanager
    def present(self, launch: Callable[[], Contender]) -> Iterator[Contender]:
        """Let a trial have the process; what it raises ends the process, as does the last trial."""
        self.fresh = self._contender is None
        if self._contender is None:
            self.launched_ns = time.monotonic_ns()
            self._contender = launch()
            self._guard(self._contender)
        contender, self._contender = self._contender, None
        self.events_before = len(contender.events.all())
        with ExitStack() as stack:
            stack.callback(self._release, contender)
            stack.enter_context(contender)
            yield contender
            if self.goes_on:
                self._contender = contender
                stack.pop_all()

    def _guard(self, contender: Contender) -> None:
        # One that was killed guards nobody, and most contenders end with their input anyway.
        if self._guardian is not None:
            with suppress(BrokenPipeError):
                self._guardian.guard([-contender.pid])

    def _release(self, contender: Contender) -> None:
        if self._guardian is not None:
            self._guardian.release([-contender.pid])

    def end(self) -> None:
        """End the process where trials that it was kept for do not come."""
        if self._contender is not None:
            contender, self._contender = self._contender, None
            contender.kill()
            self._release(contender)
            if self.log is not None:
                self.log.unlink(missing_ok=True)
