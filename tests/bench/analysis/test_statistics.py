import math
import random
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from raftmark.bench.analysis.statistics import (
    Estimate,
    between_runs,
    ecdf,
    hierarchical_interval,
    joint_ratio_interval,
    median_bounds,
    median_interval,
    noise_floor,
    quantile_interval,
    quantile_of_histogram,
    ratio_interval,
    unpaired_ratio_interval,
)

BLOCKS = [6, 7, 8, 10, 12, 15, 20, 30, 40]

# Samples whose median is 0: symmetric, skewed either way, with heavy tails, with two humps.
DISTRIBUTIONS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "normal": lambda g, size: g.normal(size=size),
    "skewed": lambda g, size: g.lognormal(sigma=0.5, size=size) - 1,
    "waiting": lambda g, size: g.exponential(size=size) - math.log(2),
    "heavy tails": lambda g, size: g.standard_t(3, size=size),
}


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


# The median.


def test_the_median_of_known_values():
    assert median_interval([3, 1, 2, 5, 4]).value == 3
    assert median_interval([4, 1, 2, 3]).value == 2.5


@pytest.mark.parametrize("blocks", [2, 3, 4, 5])
def test_too_few_values_give_the_widest_interval(blocks):
    # The extremes enclose the median with 1 - 2^(1-n), which is below 95 % for all of these.
    values = [float(value) for value in range(blocks)]
    assert median_interval(values)[1:] == (0, blocks - 1)


def test_the_interval_lies_between_the_order_statistics_that_bracket_it():
    # Of 10 values the second pair encloses the median with 97.9 %, the third with 89.1 %. Half way
    # in confidence, Hettmansperger and Sheather's weight of the inner one is 8 I / (2 + 6 I), I
    # being the share of the way: (0.9785 - 0.95) / (0.9785 - 0.8906) = 0.3245.
    estimate = median_interval([float(value) for value in range(1, 11)])
    weight = 8 * 0.3245 / (2 + 6 * 0.3245)
    assert estimate.low == pytest.approx(2 + weight, abs=0.002)
    assert estimate.high == pytest.approx(9 - weight, abs=0.002)


def test_a_lower_confidence_is_narrower():
    values = rng().normal(size=30).tolist()
    wide, usual = median_interval(values, 0.999), median_interval(values)
    assert wide.low < usual.low < usual.value < usual.high < wide.high


def test_equal_values_have_no_spread():
    assert median_interval([7.0] * 6) == Estimate(7, 7, 7)


def test_one_value_has_no_interval():
    estimate = median_interval([7.0])
    assert estimate.value == 7
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


def test_no_value_is_refused():
    for estimate in (median_interval, quantile_interval):
        with pytest.raises(ValueError, match="no values"):
            estimate([], 0.5)


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_medians_interval_holds_the_truth_as_often_as_it_says(distribution, blocks):
    simulated = DISTRIBUTIONS[distribution](rng(2024), (20_000, blocks))
    low, high = median_bounds(simulated)
    # The standard error of what is simulated is 0.15 %.
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97


# Ratios within blocks.


def realistic(
    generator: np.random.Generator, experiments: int, blocks: int, ratio: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two contenders that share a machine: what a block has in common, and 3 % of their own."""
    common = generator.lognormal(sigma=0.2, size=(experiments, blocks))
    own = generator.standard_t(4, size=(2, experiments, blocks)) * 0.03
    return ratio * common * np.exp(own[0]), common * np.exp(own[1])


def test_the_interval_of_a_ratio_holds_the_true_ratio_as_often_as_it_says():
    numerators, denominators = realistic(rng(7), 20_000, 10, ratio=3.0)
    low, high = median_bounds(np.log(numerators / denominators))
    assert 0.93 <= np.mean((np.exp(low) <= 3) & (np.exp(high) >= 3)) <= 0.97
    # The interval of the ratios is that of the function, and pairing cancels what blocks share.
    estimate = ratio_interval(list(numerators[0]), list(denominators[0]))
    assert estimate[1:] == pytest.approx((math.exp(low[0]), math.exp(high[0])))
    assert estimate.high / estimate.low < 1.3


def test_an_a_a_pair_of_40_blocks_is_told_apart_no_more_often_than_the_level_allows():
    low, high = median_bounds(np.log(np.divide(*realistic(rng(3), 20_000, 40, ratio=1.0))))
    told_apart = np.mean((low > 0) | (high < 0))
    assert told_apart <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 20_000)


def test_a_slowdown_of_5_per_cent_is_found_in_40_blocks():
    low, high = median_bounds(np.log(np.divide(*realistic(rng(4), 20_000, 40, ratio=0.95))))
    assert np.mean(high < 0) > 0.99
    assert np.mean(low > 0) == 0


def test_the_ratio_of_known_values():
    estimate = ratio_interval([2, 40, 600], [1, 10, 100])
    assert estimate.value == pytest.approx(4)


def test_exchanging_the_two_gives_the_reciprocal():
    a, b = [3.0, 5.0, 4.0, 9.0, 7.0, 2.0, 8.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0]
    there, back = ratio_interval(a, b), ratio_interval(b, a)
    assert there == pytest.approx((1 / back.value, 1 / back.high, 1 / back.low))


@pytest.mark.parametrize("estimate", [ratio_interval, noise_floor])
def test_ratios_that_mean_nothing_are_refused(estimate):
    with pytest.raises(ValueError, match="paired"):
        estimate([1, 2], [1])
    with pytest.raises(ValueError, match="positive"):
        estimate([1, 0], [1, 1])


# Ratios of two runs.


def test_the_ratio_of_two_runs_of_known_values():
    # Their quotients are 2 to the power of 5 to 9, 15 to 19, and so on: the third from either end
    # belongs to 5 values of each (Mann and Whitney's table, 5 %), the 13th is in the middle.
    numerators = [2.0**power for power in (10, 20, 30, 40, 50)]
    denominators = [2.0**power for power in (1, 2, 3, 4, 5)]
    estimate = unpaired_ratio_interval(numerators, denominators)
    assert estimate == pytest.approx((2.0**27, 2.0**7, 2.0**47))
    back = unpaired_ratio_interval(denominators, numerators)
    assert back == pytest.approx((2.0**-27, 2.0**-47, 2.0**-7))


@cache
def arrangements(m: int, n: int, below: int) -> int:
    """How many orders of m and n values have at most so many pairs the wrong way round."""
    if below < 0:
        return 0
    if m == 0 or n == 0:
        return 1
    return arrangements(m - 1, n, below - n) + arrangements(m, n - 1, below)


@pytest.mark.parametrize(("m", "n"), [(4, 4), (5, 5), (2, 8), (8, 8), (6, 10), (10, 10), (3, 20)])
def test_the_interval_of_two_runs_is_the_narrowest_that_holds_the_truth_often_enough(m, n):
    numerators, denominators = (list(rng(size).lognormal(size=size)) for size in (m, n))
    quotients = np.sort(np.divide.outer(numerators, denominators), axis=None)
    estimate = unpaired_ratio_interval(numerators, denominators)
    rank = int(np.sum(quotients < estimate.low * (1 - 1e-9)))
    assert estimate.high == pytest.approx(quotients[-1 - rank])

    def holds(rank: int) -> float:
        return 1 - 2 * arrangements(m, n, rank) / math.comb(m + n, m)

    assert holds(rank) >= 0.95
    # The approximation may leave out one that is just good enough.
    assert holds(rank + 1) < 0.9505


def test_two_runs_of_few_values_have_the_widest_interval():
    estimate = unpaired_ratio_interval([2, 8, 4], [1, 4, 2])
    assert estimate == pytest.approx((2, 0.5, 8))
    assert unpaired_ratio_interval([3], [1, 2, 3]) == pytest.approx((1.5, 1, 3))


def test_two_runs_of_one_value_have_no_interval():
    estimate = unpaired_ratio_interval([6], [3])
    assert estimate.value == pytest.approx(2)
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


@pytest.mark.parametrize(
    ("numerators", "denominators", "said"),
    [([], [1], "no values"), ([1], [], "no values"), ([1, 0], [1], "positive")],
)
def test_two_runs_that_have_no_ratio_are_refused(numerators, denominators, said):
    with pytest.raises(ValueError, match=said):
        unpaired_ratio_interval(numerators, denominators)


# Noise.


def test_the_noise_floor_is_how_far_the_twins_ratio_reaches():
    twin = [100.0] * 7
    base = [100.0 * ratio for ratio in (0.97, 0.99, 1.0, 1.0, 1.0, 1.01, 1.02)]
    low, high = ratio_interval(base, twin)[1:]
    assert low < 1 < high < 1 / low
    assert noise_floor(base, twin) == pytest.approx(1 / low - 1)
    assert noise_floor(twin, base) == pytest.approx(noise_floor(base, twin))
    assert noise_floor(twin, twin) == 0
    assert math.isnan(noise_floor([1.0], [2.0]))


# Many comparisons.


def test_a_ratio_among_many_reaches_farther_the_more_they_are():
    numerators, denominators = realistic(rng(5), 1, 20, ratio=2.0)
    a, b = list(numerators[0]), list(denominators[0])
    assert joint_ratio_interval(a, b, 1) == pytest.approx(ratio_interval(a, b))
    alone, few, many = (joint_ratio_interval(a, b, among) for among in (1, 10, 100))
    assert many.low < few.low < alone.low < alone.value < alone.high < few.high < many.high
    # By Bonferroni, one of 10 has a confidence of 99.5 %.
    low, high = median_interval(np.log(np.divide(a, b)).tolist(), 0.995)[1:]
    assert few[1:] == pytest.approx((math.exp(low), math.exp(high)))


def test_with_few_blocks_a_ratio_among_many_reaches_as_far_as_students_interval():
    # Logarithms of -1, 0, 1 and 0: a mean of 0, a standard error of sqrt(2/3)/2, and Student's t
    # with 3 degrees of freedom, 12.92 beyond which lie 0.05 %.
    estimate = joint_ratio_interval([math.exp(-1), 1, math.exp(1), 1], [1] * 4, 50)
    reach = 12.924 * math.sqrt(2 / 3) / 2
    assert estimate == pytest.approx((1, math.exp(-reach), math.exp(reach)), rel=1e-3)
    with pytest.raises(ValueError, match="one of 1 or more"):
        joint_ratio_interval([1, 2], [1, 2], 0)


@pytest.mark.parametrize("blocks", [10, 20])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_intervals_of_many_ratios_hold_all_at_once(distribution, blocks):
    # Three contenders in four figures: 12 ratios, whose true medians are 1.
    generator, among, experiments = rng(11), 12, 200
    missed = 0
    for _ in range(experiments):
        drawn = np.exp(0.1 * DISTRIBUTIONS[distribution](generator, (4, 3, blocks)))
        pairs = ((figure[i], figure[j]) for figure in drawn for i, j in ((0, 1), (0, 2), (1, 2)))
        found = (joint_ratio_interval(list(a), list(b), among) for a, b in pairs)
        missed += any(not each.low <= 1 <= each.high for each in found)
    assert missed / experiments <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / experiments)


# Several runs.


def test_what_runs_differ_by_is_told_from_the_noise_within_them():
    generator = rng(12)
    for deviation in (0.0, 0.2):
        found = []
        for _ in range(100):
            usual = deviation * generator.standard_normal((8, 1))
            runs = np.exp(usual + 0.1 * generator.standard_normal((8, 10)))
            found.append(between_runs(runs.tolist()) ** 2)
        assert math.sqrt(np.mean(found)) == pytest.approx(deviation, abs=0.03)


def test_one_run_cannot_tell_how_runs_differ():
    for runs in ([[1.0, 2.0]], [[1.0], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="two runs of two blocks"):
            between_runs(runs)


# Quantiles and distributions.


def test_a_quantile_of_known_values():
    values = [float(value) for value in range(1, 1001)]
    estimate = quantile_interval(values, 0.9)
    assert estimate.value == 900
    # 900 and two standard deviations of the binomial, sqrt(1000 x 0.9 x 0.1) = 9.5.
    assert estimate.low == pytest.approx(881, abs=1)
    assert estimate.high == pytest.approx(919, abs=1)


def test_a_sample_too_small_for_a_quantile_has_no_bound():
    values = [float(value) for value in range(20)]
    assert quantile_interval(values, 0.99).high == math.inf
    assert quantile_interval(values, 0.01).low == -math.inf
    with pytest.raises(ValueError, match="inner quantile"):
        quantile_interval(values, 1)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("size", [6, 100])
def test_the_interval_of_a_quantile_holds_the_truth_at_least_as_often_as_it_says(q, size):
    generator = rng(8)
    truth = -math.log(1 - q)
    estimates = [
        quantile_interval(generator.exponential(size=size).tolist(), q) for _ in range(400)
    ]
    held = np.mean([estimate.low <= truth <= estimate.high for estimate in estimates])
    assert held >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / 400)


def held_by_blocks(blocks: int, within: int, between: float, q: float, truth: float) -> float:
    generator, simulations = rng(9), 1000
    own = generator.normal(size=(simulations, blocks, within))
    common = between * generator.normal(size=(simulations, blocks, 1))
    estimates = [hierarchical_interval(list(blocks), q) for blocks in own + common]
    return float(np.mean([estimate.low <= truth <= estimate.high for estimate in estimates]))


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [6, 12, 40])
@pytest.mark.parametrize("between", [0, 1])
def test_the_median_of_nested_values_has_an_interval_that_holds(blocks, between):
    # The standard error of what is simulated is 0.7 %.
    assert 0.93 <= held_by_blocks(blocks, 10, between, 0.5, 0.0) <= 0.975


@pytest.mark.slow
def test_a_high_quantile_of_nested_values_has_an_interval_that_holds():
    assert 0.93 <= held_by_blocks(20, 20, 0.3, 0.9, 1.2816 * math.sqrt(1.09)) <= 0.975


def test_nested_values_count_as_many_as_there_are_blocks():
    generator = rng(10)
    blocks = [list(generator.normal(size=50) + 10 * block) for block in range(6)]
    nested = hierarchical_interval(blocks)
    flat = quantile_interval([value for block in blocks for value in block], 0.5)
    assert nested.high - nested.low > 3 * (flat.high - flat.low)


def test_blocks_may_have_different_numbers_of_values():
    estimate = hierarchical_interval([[1.0], [2.0, 3.0, 4.0], [], [5.0, 6.0]])
    assert estimate.value == 3.5
    assert 1 <= estimate.low <= 3.5 <= estimate.high <= 6
    assert math.isnan(hierarchical_interval([[1.0, 2.0]]).low)
    with pytest.raises(ValueError, match="no values"):
        hierarchical_interval([[]])


def test_the_empirical_distribution_is_a_step_at_each_value():
    assert ecdf([3, 1, 1, 2]) == ([1, 2, 3], [0.5, 0.75, 1.0])
    assert ecdf([]) == ([], [])


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
