"""The distributions are scipy's, to nine digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from raftmark.bench.analysis.distributions import (
    binomial_distribution,
    normal_quantile,
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
