"""A node's timer: a callback of the event loop that wakes the node's task."""

import asyncio
from collections.abc import Callable


class Timer:
    """The election timer of a follower or candidate, the heartbeat timer of a leader.

    Under load it is restarted with every message, so a restart only moves the deadline;
    the loop's callback, when it comes too early, schedules itself anew.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = wake
        self._deadline = self._loop.time()
        self._handle: asyncio.TimerHandle | None = None

    def restart(self, after_ns: int) -> None:
        """Expire `after_ns` from now, and not before."""
        self._deadline = self._loop.time() + after_ns / 1e9
        if self._handle is None or self._handle.when() > self._deadline:
            self._schedule()

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._loop.time() >= self._deadline

    def cancel(self) -> None:
        """Never wake again."""
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self) -> None:
        self.cancel()
        self._handle = self._loop.call_at(self._deadline, self._fire)

    def _fire(self) -> None:
        self._handle = None
        if self.expired():
            self._wake()
        else:
            self._schedule()
