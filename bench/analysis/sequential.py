"""A comparison that may be looked at after every block: an interval that holds all along.

A gate that measures until it is sure looks at its figures again and again, and a test made for one
look would cry wolf far more often than it says. What is used here holds however often one looks,
and whenever one stops: a *confidence sequence*, made of bets. For a ratio t, somebody bets, block
by block, that the next difference d (the logarithm of HEAD over BASE within a block) lies above t.
If it is as likely below, no way of betting makes money in the long run, and the probability that a
stake of 1 ever becomes 1/a is at most a (Ville's inequality). All t against which the bets never
became that rich are the interval.

The bets need one assumption only: that d - t is symmetric about zero given what came before. For
t = 0, no difference, the order of the two within a block, drawn by a fair coin, sees to that,
whatever the noise: heavy tails, drift, neighbours that come and go. Given its size |d - t|, which
way a difference points is then a fair coin's toss, so the stake may depend on the sizes so far (de
la Peña, "A general class of exponential inequalities for martingales and ratios", Annals of
Probability 1999; Vovk and Wang, "Nonparametric e-tests of symmetry", New England Journal of
Statistics in Data Science 2024). The stake is a share of what there is,

    s min(1, |d - t| / q),     q the lower quartile of the sizes so far, this one included,

and the wealth is the mean over shares s from a Beta(1, 1/2) distribution, so that none has to be
chosen: large shares for differences that leave no doubt, small ones for those lost in noise. That
a size beyond q counts no more than q is Huber's score: an outlier moves nothing. It also makes the
wealth fall as t grows, so that the interval has no holes.

Confidence sequences as such: Robbins, "Statistical methods related to the law of the iterated
logarithm", Annals of Mathematical Statistics 1970; Howard, Ramdas, McAuliffe and Sekhon,
"Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 2021.
Theirs for means need a bound or a variance, and the asymptotic ones hold only after many blocks; a
group sequential design (Lan and DeMets, "Discrete sequential boundaries for clinical trials",
Biometrika 1983) needs the number of blocks beforehand. A gate has from six to a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Sixteen equally likely shares that stand for the Beta(1, 1/2) distribution. Any mixture is valid.
_SHARES: Array = 1 - (1 - (np.arange(16) + 0.5) / 16) ** 2
# An end of an interval is found to this, on the logarithm of a ratio, trying so many at a time.
_PRECISION = 1e-6
_TRIED = 64


class Interval(NamedTuple):
    """What a difference may be; an end is infinite while nothing is known of it."""

    low: float
    high: float


class Verdict(Enum):
    """What can be said of a cost, such as seconds a command, in HEAD over BASE."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "no difference larger than the margin"
    UNDECIDED = "cannot tell yet"


def log_evidence(differences: Array) -> Array:
    """Return the logarithm of the bettor's wealth after every block, beginning with a stake of 1.

    The last axis of `differences` is the blocks in their order. The bets are that they are above
    zero; pass the negative to bet that they are below.
    """
    sizes = np.abs(differences)
    scales = np.stack(
        [
            np.sort(sizes[..., : block + 1], axis=-1)[..., block // 4]
            for block in range(differences.shape[-1])
        ],
        axis=-1,
    )
    # Where more than a quarter of all differences are nothing, only the direction counts.
    parts = np.minimum(sizes, scales) / np.where(scales > 0, scales, 1.0)
    stakes = np.sign(differences) * np.where(scales > 0, parts, 1.0)
    return mixture(stakes)


def mixture(gains: Array) -> Array:
    """Return the logarithm of what becomes of a stake of 1, the mean over the shares at stake.

    The last axis of `gains` is the blocks: what the whole stake would win in each, -1 at least.
    """
    logarithms = np.log1p(gains[..., np.newaxis] * _SHARES).cumsum(axis=-2)
    highest = logarithms.max(axis=-1)
    wealth = np.exp(logarithms - highest[..., np.newaxis]).mean(axis=-1)
    return np.asarray(highest + np.log(wealth))


def confidence_sequence(differences: Sequence[float], error: float) -> Interval:
    """Return the interval for the centre of the differences, in the blocks' order.

    With probability 1 - `error` the interval contains it after every block, now and later. So the
    interval only ever shrinks; should it shrink to less than nothing, which its error allows, it
    ends as a point.
    """
    sample = np.asarray(differences, dtype=float)
    low = _lower_end(sample, error / 2)
    high = -_lower_end(-sample, error / 2)
    return Interval(low, high) if low <= high else Interval((low + high) / 2, (low + high) / 2)


def fewest_blocks(error: float) -> int:
    """Return after how many blocks, at the earliest, a difference can be told, however large."""
    blocks = 1
    while float(log_evidence(np.ones(blocks))[-1]) < math.log(2 / error):
        blocks += 1
    return blocks


def judge(interval: Interval, margin: float) -> Verdict:
    """Say what an interval for the logarithm of a cost's ratio means.

    `margin` is the share, such as 0.05, by which a cost may change without anybody minding, in
    ratio: from 1 / (1 + margin) to 1 + margin.
    """
    indifferent = math.log1p(margin)
    if -indifferent < interval.low and interval.high < indifferent:
        return Verdict.SAME
    if interval.low > 0:
        return Verdict.SLOWER
    if interval.high < 0:
        return Verdict.FASTER
    return Verdict.UNDECIDED


def _lower_end(sample: Array, error: float) -> float:
    """Return the largest centre that is too low: against which the bets became 1 / `error` rich."""
    if not len(sample):
        return -math.inf

    def too_low(centres: Array) -> NDArray[np.bool_]:
        wealth = log_evidence(sample - centres[:, np.newaxis]).max(axis=-1)
        return np.asarray(wealth >= math.log(1 / error))

    # No difference lies above the highest one, so that is never too low; and from far below, all
    # differences look equal, so what is not too low there is so nowhere.
    high = float(sample.max())
    low = high - 1e6 * (1.0 + high - float(sample.min()))
    if not too_low(np.array([low]))[0]:
        return -math.inf
    while high - low > _PRECISION:
        # Both ends are known; between them, steps that grow by a factor, or soon equal ones.
        space = np.geomspace if high - low > 1 else np.linspace
        between = high - space(_PRECISION / 2, high - low, _TRIED)[:-1]
        centres = np.array([high, *between, low])
        first = int(np.argmax(too_low(centres)))  # The wealth falls with the centre.
        low, high = float(centres[first]), float(centres[first - 1])
    return low
