"""The bare concurrency models, without any Raft: programs for any Python interpreter.

They import pyperf and the standard library alone (and uvloop where it is asked for), so that they
run on interpreters that have nothing else. `bench.primitives` and `bench.primitives.races` launch
them.

Each primitive is a function that does `loops` operations and returns the seconds that they took,
without what comes before and after: starting the other side and ending it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

MESSAGE = b"x" * 64
# Of so many that are asked, so many have to answer.
ASKED, AWAITED = 4, 3
TIMER_S = 0.01
# How long a busy task computes before it lets the others of its event loop go on.
SLICE_S = 0.001


class Timed(NamedTuple):
    """A primitive: the tool that it uses, and the function that measures it."""

    means: str
    seconds: Callable[[int], float]


class Ticking(NamedTuple):
    """Timers of `TIMER_S`: the tool, and the function that returns how late each was, in ns."""

    means: str
    lateness_ns: Callable[[int], list[int]]
