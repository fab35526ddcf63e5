"""A node's timer where its thread or process waits: a deadline that bounds for how long."""

from collections.abc import Callable


class Timer:
    """The election timer of a follower or candidate, the heartbeat timer of a leader."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._deadline_ns = now_ns()

    def restart(self, after_ns: int) -> None:
        """Expire `after_ns` from now, and not before."""
        self._deadline_ns = self._now_ns() + after_ns

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._now_ns() >= self._deadline_ns

    def remaining_s(self, until_ns: int | None = None) -> float:
        """Seconds to the deadline, or to `until_ns` if that is earlier; 0 when passed."""
        deadline_ns = self._deadline_ns if until_ns is None else min(self._deadline_ns, until_ns)
        return max(0, deadline_ns - self._now_ns()) / 1e9
