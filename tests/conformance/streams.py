"""Client sessions with many commands under way, which prove that each was applied once.

A session counts its own key up: step n is cas(n-1 → n). So a step that was lost, doubled or
applied out of order shows in the value alone, whether or not the log still has it.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from raftmark.bench.contenders.contender import Contender, ContenderError, ContenderFailed

from .cluster import cas, get
from .messages import Submitted, read
from .waiting import DEADLINE_S

# What a client that only wants its command done tries again.
PASSING = {"not_leader", "unavailable", "timeout", "lost"}


class Step(NamedTuple):
    """A command under way; `value` is what it counts to, None for a fence."""

    stream: Stream
    serial: int
    value: int | None


class Stream:
    """One session through all lives of a cluster.

    Whenever the outcome of a step is unknown, and in each new life of the cluster, the session
    reads its value before it goes on. That is a fence: after it the session's earlier serials
    are never applied, so the value tells what became of every step.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged = 0
        self.sent: dict[int, dict[str, Any]] = {}
        self._reached = 0
        self._serial = 0
        self._under_way = 0
        self._fenced = False
        self._fence_pending = False
        self._first_unknown: int | None = None
        self._first_false: int | None = None

    def new_life(self) -> None:
        """Forget what was under way: nobody will answer it."""
        self._under_way = 0
        self._fenced = False
        self._first_false = self._first_unknown = None

    @property
    def recovered(self) -> bool:
        """Whether it is known what became of every step."""
        return self._fenced and not self._under_way

    def due(self, depth: int) -> list[Step]:
        """Return the steps to send now, so that `depth` are under way."""
        if not self._fenced:
            return [] if self._under_way else [self._fence()]
        steps = []
        while self._under_way < depth:
            before = str(self._reached) if self._reached else None
            self._reached += 1
            steps.append(self._next(cas(self.name, before, str(self._reached)), self._reached))
        return steps

    def answered(self, step: Step, outcome: Submitted | ContenderError) -> None:
        """Take an answer; AssertionError if it contradicts an earlier one."""
        self._under_way -= 1
        if step.value is None:
            self._fence_answered(outcome)
            return
        if isinstance(outcome, ContenderError):
            # Overtaken by a later one of the session, it cannot be told from a repetition.
            overtaken = outcome.code == "bad_request" and step.value < self._reached
            assert outcome.code in PASSING or overtaken, f"{self.name}, {step.value}: {outcome}"
            self._first_unknown = min(step.value, self._first_unknown or step.value)
        elif outcome.result is True:
            self.acknowledged = max(self.acknowledged, step.value)
        else:
            assert outcome.result is False, outcome
            self._first_false = min(step.value, self._first_false or step.value)
        if self._first_unknown is not None or self._first_false is not None:
            self._fenced = False
        if self._under_way == 0 and self._first_false is not None:
            unknown = self._first_unknown
            assert (unknown or self._first_false) < self._first_false, (
                f"{self.name}: step {self._first_false} found another value, but no step was lost"
            )

    def _fence_answered(self, outcome: Submitted | ContenderError) -> None:
        if isinstance(outcome, ContenderError):
            assert outcome.code in PASSING, f"{self.name}: {outcome}"
            return
        value = int(outcome.result or 0)
        assert self.acknowledged <= value <= self._reached, (
            f"{self.name} stands at {value}; {self.acknowledged} was acknowledged, "
            f"{self._reached} sent"
        )
        self.acknowledged = self._reached = value
        self._first_false = self._first_unknown = None
        self._fenced, self._fence_pending = True, False

    def _fence(self) -> Step:
        """Return a new fence, or again the one that got no answer."""
        if self._fence_pending:
            self._under_way += 1
            return Step(self, self._serial, None)
        self._fence_pending = True
        return self._next(get(self.name), None)

    def _next(self, command: dict[str, Any], value: int | None) -> Step:
        self._serial += 1
        self._under_way += 1
        self.sent[self._serial] = command
        return Step(self, self._serial, value)


class Load:
    """Keeps streams busy on a contender, all in the caller's thread."""

    def __init__(self, contender: Contender, streams: Sequence[Stream]) -> None:
        self._contender = contender
        self._streams = streams
        self._answers: queue.SimpleQueue[tuple[Step, Future[dict[str, Any]]]] = queue.SimpleQueue()
        for stream in streams:
            stream.new_life()

    def recover(self) -> None:
        """Let every stream learn what became of its steps, and send nothing new."""
        self._go_on(DEADLINE_S, lambda: all(stream.recovered for stream in self._streams), depth=0)
        late = [stream.name for stream in self._streams if not stream.recovered]
        assert not late, f"no answer in {DEADLINE_S:g} s: {late}"

    def run(self, seconds: float, depth: int) -> None:
        """Keep so many steps of each stream under way for a while."""
        self._go_on(seconds, lambda: False, depth)

    def take_last_answers(self) -> None:
        """Take the answers that a contender gave before it was killed."""
        while not self._answers.empty():
            step, reply = self._answers.get()
            if not isinstance(reply.exception(), ContenderFailed):
                _take(step, reply)

    def _go_on(self, seconds: float, done: Callable[[], bool], depth: int) -> None:
        until = time.monotonic() + seconds
        for stream in self._streams:
            self._send(stream.due(depth))
        while not done() and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                step, reply = self._answers.get(timeout=left)
                _take(step, reply)
                self._send(step.stream.due(depth))

    def _send(self, steps: Sequence[Step]) -> None:
        for step in steps:
            reply = self._contender.send(
                "submit",
                command=step.stream.sent[step.serial],
                client=step.stream.name,
                serial=step.serial,
                timeout_ms=1000,
            )
            reply.add_done_callback(functools.partial(self._answered, step))

    def _answered(self, step: Step, reply: Future[dict[str, Any]]) -> None:
        self._answers.put((step, reply))


def _take(step: Step, reply: Future[dict[str, Any]]) -> None:
    try:
        step.stream.answered(step, read(Submitted, reply.result()))
    except ContenderError as error:
        step.stream.answered(step, error)
