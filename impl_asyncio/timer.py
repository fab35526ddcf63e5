"""A node's timer: a callback of the event loop that wakes the node's task."""

import asyncio
import time
from collections.abc import Callable


class Timer:
    """The election timer of a follower or candidate, the heartbeat timer of a leader.

    Under load it is restarted with every message, so a restart only moves the deadline;
    the loop's callback, when it comes too early, schedules itself anew. The deadline is on
    the clock itself: uvloop's own time stands still during a callback, and its timers may
    come up to a millisecond early.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = wake
        self._deadline_ns = self._scheduled_ns = time.monotonic_ns()
        self._handle: asyncio.TimerHandle | None = None

    def restart(self, after_ns: int) -> None:
        """Expire `after_ns` from now, and not before."""
        self._deadline_ns = time.monotonic_ns() + after_ns
        if self._handle is None or self._scheduled_ns > self._deadline_ns:
            self._schedule(after_ns)

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic_ns() >= self._deadline_ns

    def cancel(self) -> None:
        """Never wake again."""
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self, after_ns: int) -> None:
        self.cancel()
        self._scheduled_ns = self._deadline_ns
        self._handle = self._loop.call_later(after_ns / 1e9, self._fire)

    def _fire(self) -> None:
        self._handle = None
        remaining_ns = self._deadline_ns - time.monotonic_ns()
        if remaining_ns <= 0:
            self._wake()
        else:
            self._schedule(remaining_ns)
