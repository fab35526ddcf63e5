"""Where a series changed for good."""

import numpy as np
import pytest

from raftmark.bench.analysis.changepoints import change_points


def noisy(*levels, runs=10):
    rng = np.random.default_rng(1)
    return [
        level * float(np.exp(0.02 * rng.standard_t(3))) for level in levels for _ in range(runs)
    ]


@pytest.mark.parametrize(
    ("series", "points"),
    [
        (noisy(100, runs=30), []),
        (noisy(100, 80), [10]),
        (noisy(100, 80, 120), [10, 20]),
        ([1.0] * 20, []),
        ([1.0] * 10 + [2.0] * 10, [10]),
        ([1.0, 2.0, 1.0], []),
        ([], []),
    ],
)
def test_changes_are_found_where_they_are(series, points):
    assert change_points(series) == points


def test_chance_is_seldom_taken_for_a_change():
    rng = np.random.default_rng(1)
    found = [bool(change_points(rng.standard_t(3, 20).tolist())) for _ in range(60)]
    assert sum(found) <= 4  # One in a hundred on average; more than four by chance: 3 in a million.


def test_an_outlier_is_no_change():
    series = noisy(100, runs=20)
    series[9] = 1e6
    assert change_points(series) == []
