"""What a gate says of one figure, by the centre of the differences and by their mean.

*Slower* is what either shows to be slower. If nothing has changed, each is as likely to be mistaken
as its share of the error, whatever the noise is like: a coin says which of the two of a pair is
which, so that the differences and all bounded, odd functions of them are symmetric about zero.

*No difference* needs both within the margin, and *faster* needs that it is not dearer on the
average. What is worse by more than the margin on the average, each block counted up to its bound
(`averages.py`), is called one of these with a probability of 1 % at most: for that no symmetry is
needed, only that blocks go on as they have begun. The centre's interval away from zero needs the
differences to be symmetric about their centre, and that nobody promises: it is an additional
demand, never enough by itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raftmark.bench.analysis.averages import mean_evidence, mean_sequence
from raftmark.bench.analysis.sequential import (
    Array,
    Interval,
    Verdict,
    confidence_sequence,
    fewest_blocks,
    judge,
    log_evidence,
)

NEVER = 10**6
"""The block at which something is told that is not."""

_CENTRES_SHARE = 0.8
_MISSED = 0.01


class Judged(NamedTuple):
    """What is known of a cost, on the logarithm of its ratio."""

    centre: Interval
    mean: Interval
    verdict: Verdict


class Told(NamedTuple):
    """The block after which each verdict was first told of the last axis, `NEVER` if it was not."""

    slower: NDArray[np.int64]
    faster: NDArray[np.int64]
    same: NDArray[np.int64]

    @property
    def first(self) -> NDArray[np.int64]:
        """The block after which anything was told."""
        return np.minimum(np.minimum(self.slower, self.faster), self.same)


class Rule(NamedTuple):
    """How a figure is judged: a change of `margin` is none, and its intervals' share of `error`.

    Differences are the logarithms of a cost in HEAD over BASE, block by block: the typical ones,
    of which the centre is judged, and those of the whole, of which the mean is.
    """

    margin: float
    error: float

    @property
    def _centres_error(self) -> float:
        return _CENTRES_SHARE * self.error

    @property
    def _means_error(self) -> float:
        return (1 - _CENTRES_SHARE) * self.error

    @property
    def fewest(self) -> int:
        """After how many blocks, at the earliest, a difference can be told."""
        return fewest_blocks(self._centres_error)

    @property
    def fewest_same(self) -> int:
        """After how many blocks, at the earliest, it can be told that there is none."""
        return int(self.first_told(np.zeros(200), np.zeros(200)).same)

    def judge(self, typical: list[float], whole: list[float]) -> Judged:
        """Judge the blocks so far, in their order."""
        centre = confidence_sequence(typical, self._centres_error)
        mean = mean_sequence(whole, self._means_error)
        # Of its two ends only one can be wrong where a cost is missed, so each may be by itself.
        reach = mean_sequence(whole, 2 * _MISSED)
        return Judged(centre, mean, self._verdict(centre, mean, reach))

    def _verdict(self, centre: Interval, mean: Interval, reach: Interval) -> Verdict:
        by_centre = judge(centre, self.margin)
        if by_centre is Verdict.SLOWER or mean.low > 0:
            return Verdict.SLOWER
        indifferent = math.log1p(self.margin)
        if reach.high < indifferent:
            if by_centre is Verdict.FASTER or mean.high < 0:
                return Verdict.FASTER
            if by_centre is Verdict.SAME and -indifferent < reach.low:
                return Verdict.SAME
        return Verdict.UNDECIDED

    def first_told(self, typical: Array, whole: Array) -> Told:
        """Return what `judge` tells first, and after which block, for each of many sequences."""
        margin = math.log1p(self.margin)

        def above(evidence: Array, error: float) -> NDArray[np.bool_]:
            return np.asarray(np.maximum.accumulate(evidence, axis=-1) >= -math.log(error))

        centre, mean = self._centres_error / 2, self._means_error / 2
        small = above(log_evidence(typical + margin), centre) & above(
            log_evidence(margin - typical), centre
        )
        slower = (above(log_evidence(typical), centre) & ~small) | above(
            mean_evidence(whole, 0.0), mean
        )
        not_dearer = ~slower & above(mean_evidence(-whole, -margin), _MISSED)
        faster = not_dearer & (
            (above(log_evidence(-typical), centre) & ~small)
            | above(mean_evidence(-whole, 0.0), mean)
        )
        same = not_dearer & ~faster & small & above(mean_evidence(whole, -margin), _MISSED)
        told = slower | faster | same
        first = np.where(told.any(axis=-1), told.argmax(axis=-1), -1)[..., np.newaxis]

        def when(which: NDArray[np.bool_]) -> NDArray[np.int64]:
            its = np.take_along_axis(which, np.maximum(first, 0), axis=-1)[..., 0]
            return np.where((first[..., 0] >= 0) & its, first[..., 0] + 1, NEVER)

        return Told(when(slower), when(faster), when(same))
