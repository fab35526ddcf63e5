"""The distributions are scipy's, to nine digits."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import special, stats

from raftmark.bench.analysis.distributions import (
    binomial_distribution,
    normal_quantile,
    signed_rank_p_value,
    student_quantile,
)

NEAR = 1e-9


@pytest.mark.parametrize("n", [1, 2, 6, 7, 50, 1000, 5000])
@pytest.mark.parametrize("q", [0.01, 0.5, 0.99])
def test_the_binomial_distribution(n, q):
    expected = special.bdtr(np.arange(n + 1), n, q)
    assert np.allclose(binomial_distribution(n, q), expected, rtol=NEAR, atol=1e-12)


@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.9999])
def test_the_quantiles_of_student_and_of_the_normal_distribution(probability):
    for freedom in [*range(1, 60), 199, 1000]:
        expected = special.stdtrit(freedom, probability)
        assert student_quantile(freedom, probability) == pytest.approx(expected, rel=NEAR)
    assert normal_quantile(probability) == pytest.approx(special.ndtri(probability), rel=NEAR)


@pytest.mark.parametrize("n", [*range(1, 51), 51, 60, 200])
def test_the_signed_ranks_of_differences_that_are_all_different(n, request):
    chance = random.Random(f"{request.config.option.seed}/{n}")
    differences = [chance.gauss(0.3, 1) for _ in range(n)]
    expected = stats.wilcoxon(differences).pvalue
    assert signed_rank_p_value(differences) == pytest.approx(expected, rel=NEAR)


def test_signed_ranks_that_are_shared(request):
    chance = random.Random(request.config.option.seed)
    differences = [round(chance.gauss(0.3, 2)) for _ in range(80)]
    assert sum(map(bool, differences)) > 50
    expected = stats.wilcoxon(differences, method="asymptotic").pvalue
    assert signed_rank_p_value(differences) == pytest.approx(expected, rel=NEAR)
    # By hand: of the 8 ways to sign the ranks 1.5, 1.5 and 3, that sum to 6, two are this far out.
    assert signed_rank_p_value([1, 1, 2]) == 2 / 8
    # A rank sum of 3 of 6 is the middle: no sum is nearer to it than this one.
    assert signed_rank_p_value([1, 1, -2]) == 1


def test_no_difference_is_no_evidence():
    assert signed_rank_p_value([]) == signed_rank_p_value([0.0, 0.0]) == 1
    assert not math.isnan(signed_rank_p_value([0.0, 1.0]))
