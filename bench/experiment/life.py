"""The process that the trials of a block share, where a run lets them: a contender's, in its turn.

Each trial has a cluster in it, of its own or the one that a load before it has left, and is checked
like any other. The process stays the unit: what comes of it in a block are readings of one. It ends
with the last of them, or with the first that fails, after which the next has a fresh one. That is
launched while the last trial is checked, if it is known by then: nothing is measured meanwhile, and
an interpreter takes as long to begin as a check.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from raftmark.bench.contenders.contender import Contender, ContenderFailed
from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import Hello
from raftmark.bench.design.schedule import Left
from raftmark.bench.experiment.standing import Standing


class Launch(NamedTuple):
    """How a process is launched, and the file `log` that its standard error goes to."""

    launch: Callable[[], Contender]
    log: Path


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
        self.leaves = Left.NOTHING
        """What the present trial leaves to the next one."""
        self.cluster: Standing | None = None
        """The cluster that was left."""
        self.following: Launch | None = None
        """How the next process is launched, if one follows the present trial."""
        self._ahead: tuple[Contender, int, Path] | None = None
        self.hellos: dict[tuple[str, str], Hello] = {}
        """What contenders said that they are, by name and placement; each is asked in its first.

        To tell it, one whose nodes are programs starts one of them besides.
        """

    @contextmanager
    def present(self, launch: Callable[[], Contender]) -> Iterator[Contender]:
        """Let a trial have the process; what it raises ends the process, as does the last trial."""
        self.fresh = self._contender is None
        if self._contender is None and self._ahead is not None:
            (self._contender, self.launched_ns, _), self._ahead = self._ahead, None
        elif self._contender is None:
            self._contender, self.launched_ns = self._launched(launch)
        contender, self._contender = self._contender, None
        self.events_before = len(contender.events.all())
        with ExitStack() as stack:
            stack.callback(self._release, contender)
            stack.enter_context(contender)
            yield contender
            if self.leaves:
                self._contender = contender
                stack.pop_all()

    def launch_ahead(self) -> None:
        """Launch the next process, if one follows: the present one is measured no more."""
        following, self.following = self.following, None
        if following is not None and not self.leaves:
            with suppress(ContenderFailed):  # Its trial will try by itself, and tell.
                self._ahead = (*self._launched(following.launch), following.log)

    def _launched(self, launch: Callable[[], Contender]) -> tuple[Contender, int]:
        launched_ns = time.monotonic_ns()
        contender = launch()
        self._guard(contender)
        return contender, launched_ns

    def _guard(self, contender: Contender) -> None:
        # One that was killed guards nobody, and most contenders end with their input anyway.
        if self._guardian is not None:
            with suppress(BrokenPipeError):
                self._guardian.guard([-contender.pid])

    def _release(self, contender: Contender) -> None:
        if self._guardian is not None:
            self._guardian.release([-contender.pid])

    def end(self) -> None:
        """End the processes where trials that they were kept or launched for do not come."""
        kept, self._contender, self.cluster = self._contender, None, None
        ahead, self._ahead = self._ahead, None
        if kept is not None:
            self._kill(kept, self.log)
        if ahead is not None:
            contender, _, log = ahead
            self._kill(contender, log)

    def _kill(self, contender: Contender, log: Path | None) -> None:
        contender.kill()
        self._release(contender)
        if log is not None:
            log.unlink(missing_ok=True)
