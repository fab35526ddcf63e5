"""Two contenders that take turns: both are alive, and one is stopped while the other runs.

A machine is fast in one second and slow in the next, so two processes that are measured one after
the other differ by what changed between them. Here both go through the same seconds, in turns of
some hundredths of a second. A coin says for each pair of turns who is first, so that neither has
the better halves, and no rhythm of the machine goes with one of them. The processors of a machine
differ as well, from moment to moment (another machine may have its other half), so contenders that
keep no more than one busy share one in each pair of turns: which, is drawn. Stopping does
something to a contender: its timers run out, its caches are another's, what was under way waits. It
does that to both.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from raftmark.bench.contenders.contender import ContenderError, ContenderFailed
from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.contenders.stopping import CAN_KEEP_ON, CannotStop, Stopping
from raftmark.bench.design.cells import NATIVE
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.life import Life
from raftmark.bench.experiment.trial import Course, Ran, Ready
from raftmark.bench.runs.forms import Trial, Turn
from raftmark.bench.runs.store import Run


def run_pair(
    pair: Sequence[Planned],
    specs: Sequence[ContenderSpec],
    run: Run,
    guardian: Guardian,
    say: Callable[[str], None],
) -> list[Trial]:
    """Run the two trials of a pair in turns, and return their records, in the same order.

    They are not added to `run`. Where one does not come as far, or cannot be stopped, each runs by
    itself, one after the other. Raises `StoreError` when the run's directory cannot be used.
    """
    with ExitStack() as stack:
        courses = _begin(pair, specs, run, guardian, stack)
        both = [course.ready for course in courses if course.ready is not None]
        if len(both) == len(courses):
            try:
                coin = random.Random(f"{run.manifest.seed}/{pair[0].id}")
                answers = _run_in_turns(both, specs, coin, guardian)
            except CannotStop as reason:
                say(f"{pair[0].id}: no turns, one after the other: {reason}")
            else:
                return [c.end(answer) for c, answer in zip(courses, answers, strict=True)]
        return [course.run() for course in courses]


def _begin(
    pair: Sequence[Planned],
    specs: Sequence[ContenderSpec],
    run: Run,
    guardian: Guardian,
    stack: ExitStack,
) -> list[Course]:
    """Let the trials begin side by side, since nothing is measured yet; `stack` ends them."""
    begun: list[Future[Course]] = []
    try:
        with ThreadPoolExecutor(len(pair)) as pool:
            for planned, spec in zip(pair, specs, strict=True):
                begun.append(pool.submit(Course, planned, spec, run, Life(guardian)))
    finally:
        for each in begun:
            if each.exception() is None:
                stack.push(each.result())
    return [each.result() for each in begun]


def _run_in_turns(
    both: Sequence[Ready], specs: Sequence[ContenderSpec], coin: random.Random, guardian: Guardian
) -> list[Callable[[], Ran]]:
    """Let two contenders do their `run` in turns; return what came of it, or what to raise.

    Raises `CannotStop`, before they are asked for anything.
    """
    (turn_ms,) = {ready.cell.turns_ms for ready in both}
    assert turn_ms is not None
    with ExitStack() as stack:
        stoppings = [Stopping.of(ready.contender, guardian) for ready in both]
        for stopping in stoppings:
            stack.enter_context(stopping).require()
        replies = [ready.ask() for ready in both]
        processors = _shared_processors(specs) if both[0].cell.transport == NATIVE else []
        turns = take_turns(
            stoppings, turn_ms / 1e3, coin, _any_of(replies), both[0].cell.timeout_s, processors
        )
    return [
        _answer(ready, reply, its) for ready, reply, its in zip(both, replies, turns, strict=True)
    ]


def take_turns(
    both: Sequence[Stopping],
    turn_s: float,
    coin: random.Random,
    over: threading.Event,
    most_s: float,
    processors: Sequence[int] = (),
) -> list[list[Turn]]:
    """Let one run while the other is stopped, until it is `over` or has taken so long.

    In each pair of turns they are kept on one of these `processors`, if there are any. Returns when
    each of them ran; both run in the end, wherever they like.
    """
    turns: list[list[Turn]] = [[] for _ in both]
    deadline = time.monotonic() + most_s
    try:
        for each in both:
            each.stop()
        while not over.is_set() and time.monotonic() < deadline:
            if processors:
                drawn = {coin.choice(processors)}
                for each in both:
                    each.keep_on(drawn)
            for which in coin.sample(range(len(both)), len(both)):
                # Who goes on may have the processor at once, and this process none for a while.
                started_ns = time.monotonic_ns()
                both[which].go_on()
                over.wait(turn_s)
                ended_ns = time.monotonic_ns()
                both[which].stop()
                turns[which].append((started_ns, ended_ns))
    finally:
        for each in both:
            if processors:
                each.keep_on(processors)
            each.go_on()
    return turns


def _shared_processors(specs: Sequence[ContenderSpec]) -> list[int]:
    """Return the processors of which two contenders share one at a time; none if they do not."""
    if not (CAN_KEEP_ON and all(spec.one_processor for spec in specs)):
        return []
    return sorted(os.sched_getaffinity(0))


def _any_of(replies: Sequence[Future[dict[str, Any]]]) -> threading.Event:
    """Return what is set as soon as one of these is there."""
    event = threading.Event()
    for reply in replies:
        reply.add_done_callback(lambda _: event.set())
    return event


def _answer(ready: Ready, reply: Future[dict[str, Any]], turns: list[Turn]) -> Callable[[], Ran]:
    """Wait for an answer now, and return what gives it, or raises what came instead."""
    try:
        ran = ready.await_answer(reply)._replace(turns=turns)
    except (ContenderError, ContenderFailed) as error:
        failure = error

        def fail() -> Ran:
            raise failure

        return fail
    return lambda: ran
