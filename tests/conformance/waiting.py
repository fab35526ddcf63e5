"""Waiting for a process that can only be looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator

# Far beyond what any contender needs on a busy machine: it only ends a hang.
DEADLINE_S = 30.0


def looks(deadline_s: float = DEADLINE_S, every_s: float = 0.01) -> Iterator[None]:
    """Yield once for each look to take, at least once, until `deadline_s` seconds are over.

    The suite's only sleep: a contender's `status` and the kernel's tables cannot be waited for.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        yield
        if time.monotonic() > deadline:
            return
        time.sleep(every_s)
