"""The comparison that may be looked at after every block."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftmark.bench.analysis.sequential import (
    Interval,
    Verdict,
    confidence_sequence,
    fewest_blocks,
    judge,
    log_evidence,
)

BLOCKS = 12
SIZES = {
    "even": np.ones(BLOCKS),
    "heavy tails": np.abs(np.random.default_rng(1).standard_t(1, BLOCKS)),
    "growing": np.arange(1.0, BLOCKS + 1),
    "one outlier": np.array([1e6] + [1.0] * (BLOCKS - 1)),
    "some nothing": np.array([0.0, 0.0, 1.0] * (BLOCKS // 3)),
}
# Every way in which the differences of 12 blocks can point, each as likely where there is none.
DIRECTIONS = np.array(list(itertools.product((-1.0, 1.0), repeat=BLOCKS)))


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_fair_bets_win_nothing_on_average(sizes):
    wealth = np.exp(log_evidence(DIRECTIONS * sizes))
    assert wealth.mean(axis=0) == pytest.approx(np.ones(BLOCKS))


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("error", [0.2, 0.05, 0.01])
def test_peeking_after_every_block_cries_wolf_no_more_than_said(sizes, error):
    most = log_evidence(DIRECTIONS * sizes).max(axis=1)
    assert (most >= math.log(1 / error)).mean() <= error


def test_the_interval_ever_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    samples = 0.1 * rng.standard_t(2, (60, 16)) + 0.3
    # The interval only shrinks, so the last one is the one that can miss.
    missed = [not (i.low <= 0.3 <= i.high) for i in (confidence_sequence(s, 0.2) for s in samples)]
    assert 0 < sum(missed) / len(missed) <= 0.2


differences = st.lists(st.floats(-10, 10), min_size=1, max_size=20)


@given(differences, st.floats(0, 5))
def test_bets_against_a_higher_centre_are_never_richer(sample, step):
    lower, higher = (log_evidence(np.array(sample) - centre) for centre in (0.0, step))
    assert (higher <= lower + 1e-9).all()


@settings(max_examples=25)
@given(differences)
def test_exchanging_the_two_mirrors_the_interval(sample):
    interval = confidence_sequence(sample, 0.1)
    mirrored = confidence_sequence([-d for d in sample], 0.1)
    assert (-mirrored.high, -mirrored.low) == pytest.approx(interval, abs=1e-5)


def test_the_interval_shrinks_with_every_block_and_finds_the_difference():
    sample = list(0.2 + 0.02 * np.random.default_rng(3).standard_t(3, 40))
    intervals = [confidence_sequence(sample[:n], 0.01) for n in range(1, 41)]
    assert intervals[0] == (-math.inf, math.inf)
    for earlier, later in itertools.pairwise(intervals):
        assert earlier.low <= later.low + 1e-6
        assert later.high <= earlier.high + 1e-6
    assert 0.17 < intervals[-1].low < 0.2 < intervals[-1].high < 0.23


def test_an_outlier_moves_nothing():
    sample = list(0.1 + 0.01 * np.random.default_rng(4).standard_normal(30))
    wild = [*sample[:10], 1e9, *sample[11:]]
    calm, disturbed = confidence_sequence(sample, 0.05), confidence_sequence(wild, 0.05)
    assert disturbed == pytest.approx(calm, abs=0.01)


def test_equal_blocks_leave_a_point():
    interval = confidence_sequence([0.0] * 12, 0.05)
    assert interval == pytest.approx((0, 0), abs=1e-6)


def test_no_block_tells_nothing():
    assert confidence_sequence([], 0.05) == (-math.inf, math.inf)


@pytest.mark.parametrize("error", [0.1, 0.05, 0.0025])
def test_the_fewest_blocks_are_enough_and_one_less_is_not(error):
    blocks = fewest_blocks(error)
    assert confidence_sequence([1.0] * blocks, error).low > 0
    assert confidence_sequence([1.0] * (blocks - 1), error).low == -math.inf


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-math.inf, math.inf, Verdict.UNDECIDED),
        (-0.01, 0.20, Verdict.UNDECIDED),
        (0.01, 0.20, Verdict.SLOWER),
        (0.06, 0.20, Verdict.SLOWER),
        (-0.20, -0.01, Verdict.FASTER),
        (-0.04, 0.04, Verdict.SAME),
        (0.01, 0.04, Verdict.SAME),
        (-0.05, 0.04, Verdict.UNDECIDED),
    ],
)
def test_verdicts(low, high, verdict):
    assert judge(Interval(low, high), margin=0.05) is verdict
