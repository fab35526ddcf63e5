"""The interval for the mean: it holds under peeking, for whatever lies within its bound."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftmark.bench.analysis.averages import BOUND, mean_evidence, mean_sequence, winsorised

differences = st.lists(st.floats(-10, 10), min_size=1, max_size=20)


@pytest.mark.parametrize("likely", [0.1, 0.5, 0.9])
def test_fair_bets_on_the_mean_win_nothing_on_average(likely):
    """Lopsided, as for the centre it may not be: often a little, seldom much, on average zero."""
    much = BOUND * min(1.0, (1 - likely) / likely)
    little = -much * likely / (1 - likely)
    paths = np.array(list(itertools.product((0, 1), repeat=10)))
    weights = np.prod(np.where(paths, likely, 1 - likely), axis=1)
    wealth = np.exp(mean_evidence(np.where(paths, much, little), 0.0))
    assert weights @ wealth == pytest.approx(np.ones(10))
    most = mean_evidence(np.where(paths, much, little), 0.0).max(axis=1)
    for error in (0.2, 0.05):
        assert weights @ (most >= math.log(1 / error)) <= error


def test_the_interval_ever_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(2)
    samples = np.where(rng.random((80, 60)) < 0.2, 0.35, -0.02)
    truth = 0.2 * 0.35 - 0.8 * 0.02
    intervals = [mean_sequence(list(sample), 0.2) for sample in samples]
    assert sum(not i.low <= truth <= i.high for i in intervals) <= 0.2 * len(intervals)


@given(differences, st.floats(-0.4, 0.4), st.floats(0, 0.2))
def test_bets_against_a_higher_mean_are_never_richer(sample, mean, step):
    lower, higher = (mean_evidence(np.array(sample), m) for m in (mean, mean + step))
    assert (higher <= lower + 1e-9).all()


@given(differences)
def test_exchanging_the_two_mirrors_the_interval(sample):
    interval = mean_sequence(sample, 0.1)
    mirrored = mean_sequence([-d for d in sample], 0.1)
    assert (-mirrored.high, -mirrored.low) == pytest.approx(interval, abs=1e-4)


def test_it_shrinks_with_every_block_and_finds_the_mean():
    rng = np.random.default_rng(3)
    sample = list(np.where(rng.random(300) < 0.2, 0.35, 0.0) + 0.02 * rng.standard_normal(300))
    intervals = [mean_sequence(sample[:n], 0.05) for n in range(0, 301, 20)]
    assert intervals[0] == (-BOUND, BOUND)
    for earlier, later in itertools.pairwise(intervals):
        assert earlier.low <= later.low + 1e-4
        assert later.high <= earlier.high + 1e-4
    assert 0.03 < intervals[-1].low < 0.07 < intervals[-1].high < 0.11


def test_a_difference_counts_for_no_more_than_the_bound():
    assert [winsorised(d) for d in (-9.0, -0.1, 0.1, 9.0)] == [-BOUND, -0.1, 0.1, BOUND]
    wild, tame = ([size] * 12 for size in (9.0, BOUND))
    assert mean_sequence(wild, 0.05) == mean_sequence(tame, 0.05)
