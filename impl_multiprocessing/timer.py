"""A node's timer: a deadline that bounds how long its process waits for its sockets."""

import time


class Timer:
    """The election timer of a follower or candidate, the heartbeat timer of a leader."""

    def __init__(self) -> None:
        self._deadline_ns = time.monotonic_ns()

    def restart(self, after_ns: int) -> None:
        """Expire `after_ns` from now, and not before."""
        self._deadline_ns = time.monotonic_ns() + after_ns

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic_ns() >= self._deadline_ns

    def remaining_s(self, until_ns: int | None = None) -> float:
        """Seconds to the deadline, or to `until_ns` if that is earlier; 0 when passed."""
        deadline_ns = self._deadline_ns if until_ns is None else min(self._deadline_ns, until_ns)
        return max(0, deadline_ns - time.monotonic_ns()) / 1e9
