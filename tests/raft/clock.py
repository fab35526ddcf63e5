"""The clock in a test's hand."""

from __future__ import annotations

import time

import pytest

from raftmark.raft.cluster import Counters

MILLISECOND = 1_000_000
SECOND = 1_000_000_000


class Clock:
    """The clock, in the test's hand, and a leader's counters that rise with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1_000 * SECOND
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.now_ns)

    def counters(self) -> Counters:
        """One message for each microsecond."""
        micros = self.now_ns // 1000
        return Counters(micros, None, 2 * micros, 4 * micros, 3 * micros)
