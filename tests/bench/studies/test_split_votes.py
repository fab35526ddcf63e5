"""The simulated Figure 16: what the Raft paper reports, if messages take what they take here."""

from __future__ import annotations

import math
import statistics

import pytest

from raftmark.bench.design.cells import PAPERS_DELAY_MS
from raftmark.bench.studies.split_votes import sample


def test_the_delay_fits_what_the_paper_reports() -> None:
    narrow = sample((150, 155), PAPERS_DELAY_MS, 1000)
    assert statistics.median(narrow) == pytest.approx(287, rel=0.1)
    assert sample((150, 200), PAPERS_DELAY_MS, 1000)[-1] == pytest.approx(513, rel=0.25)
    low = sample((12, 24), PAPERS_DELAY_MS, 1000)
    assert statistics.fmean(low) == pytest.approx(35, rel=0.25)
    assert low[-1] == pytest.approx(152, rel=0.5)
    assert sample((150, 150), PAPERS_DELAY_MS, 20) == [math.inf] * 20


def test_half_of_the_papers_broadcast_time_does_not() -> None:
    assert statistics.median(sample((150, 155), 7.5, 200)) > 1000
    assert statistics.fmean(sample((12, 24), 7.5, 200)) > 70


def test_nobody_splits_a_vote_that_all_hear_of_at_once() -> None:
    times = sample((150, 300), 0.01, 500)
    # A timeout runs from the last heartbeat, at most 75 ms before the crash.
    assert times[0] >= 75
    assert times[int(0.9 * len(times))] < 300
