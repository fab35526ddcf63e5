import math
import random

import numpy as np
import pytest

from bench.statistics import Estimate, median_interval, quantile_of_histogram, ratio_interval


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def bucket_of(value: int) -> int:
    """The protocol's definition, written out."""
    bits = value.bit_length()
    return value if value < 256 else (value >> (bits - 8)) << (bits - 8)


def histogram(values: list[int]) -> list[list[int]]:
    buckets: dict[int, int] = {}
    for value in values:
        buckets[bucket_of(value)] = buckets.get(bucket_of(value), 0) + 1
    return [[lowest, count] for lowest, count in buckets.items()]


def test_the_median_of_known_values():
    assert median_interval([3, 1, 2, 5, 4], rng()).value == 3
    assert median_interval([4, 1, 2, 3], rng()).value == 2.5


def test_five_values_give_the_interval_from_the_lowest_to_the_highest():
    # The median of a resample is the lowest value with probability P(Bin(5, 1/5) >= 3) = 5.8 %,
    # more than the 2.5 % left out at each end.
    assert median_interval([3, 1, 2, 5, 4], rng()) == Estimate(3, 1, 5)


def test_equal_values_have_no_spread():
    assert median_interval([7.0] * 6, rng()) == Estimate(7, 7, 7)


def test_one_value_has_no_interval():
    estimate = median_interval([7.0], rng())
    assert estimate.value == 7
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


def test_no_value_is_refused():
    with pytest.raises(ValueError, match="no values"):
        median_interval([], rng())


def test_the_same_seed_gives_the_same_interval():
    values = list(rng(9).lognormal(size=12))
    assert median_interval(values, rng(2)) == median_interval(values, rng(2))


@pytest.mark.parametrize("blocks", [5, 8, 20])
def test_intervals_hold_the_true_median_as_often_as_they_say(blocks):
    generator = rng(2024)
    simulations = 400
    samples = generator.lognormal(mean=0.0, sigma=0.5, size=(simulations, blocks))
    held = sum(
        estimate.low <= 1.0 <= estimate.high
        for estimate in (median_interval(list(sample), generator) for sample in samples)
    )
    # 95 % is nominal, 93.75 % the most that 5 values can give; three standard errors are 3.3 %.
    assert 0.90 <= held / simulations <= 0.995


def test_the_interval_of_a_ratio_holds_the_true_ratio_as_often_as_it_says():
    generator = rng(7)
    simulations, blocks = 400, 10
    held = 0
    for _ in range(simulations):
        machine = generator.lognormal(sigma=0.5, size=blocks)  # what a block has in common
        fast = 3.0 * machine * generator.lognormal(sigma=0.05, size=blocks)
        slow = machine * generator.lognormal(sigma=0.05, size=blocks)
        estimate = ratio_interval(list(fast), list(slow), generator)
        held += estimate.low <= 3.0 <= estimate.high
        assert estimate.high / estimate.low < 1.3, "pairing has to cancel what blocks share"
    assert 0.90 <= held / simulations <= 0.995


def test_the_ratio_of_known_values():
    estimate = ratio_interval([2, 40, 600], [1, 10, 100], rng())
    assert estimate.value == pytest.approx(4)


def test_exchanging_the_two_gives_the_reciprocal():
    a, b = [3.0, 5.0, 4.0, 9.0], [1.0, 2.0, 3.0, 4.0]
    there, back = ratio_interval(a, b, rng()), ratio_interval(b, a, rng())
    assert there.value == pytest.approx(1 / back.value)
    assert there.low == pytest.approx(1 / back.high, rel=0.02)
    assert there.high == pytest.approx(1 / back.low, rel=0.02)


def test_ratios_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="paired"):
        ratio_interval([1, 2], [1], rng())
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([1, 0], [1, 1], rng())


def test_small_values_have_exact_quantiles():
    buckets = histogram(list(range(1, 101)))
    assert [quantile_of_histogram(buckets, q) for q in (0, 0.01, 0.5, 0.99, 1)] == [
        1, 1, 50, 99, 100,
    ]  # fmt: skip


def test_quantiles_of_large_values_are_within_their_error():
    chance = random.Random(4)
    values = sorted(int(chance.lognormvariate(11, 2)) for _ in range(5000))
    buckets = histogram(values)
    chance.shuffle(buckets)
    for q in (0.01, 0.5, 0.9, 0.99, 0.999):
        exact = values[math.ceil(q * len(values)) - 1]
        assert quantile_of_histogram(buckets, q) == pytest.approx(exact, rel=0.004)


@pytest.mark.parametrize("q", [-0.1, 1.1])
def test_a_quantile_out_of_range_is_refused(q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_of_histogram([[1, 1]], q)


def test_an_empty_histogram_has_no_quantile():
    with pytest.raises(ValueError, match="empty"):
        quantile_of_histogram([], 0.5)
