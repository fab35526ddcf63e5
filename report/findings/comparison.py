"""How figures are made of samples and compared: the statistical rules of the report.

Samples are one value per contender and block. A figure is their median over blocks; a comparison
is the median of the ratios within blocks. Both come with the 95 % intervals of
`bench.analysis.statistics`; those of comparisons that are made `among` many hold all together. Two
contenders cannot be told apart if their ratio's interval contains 1, or if the ratio is no further
from 1 than the noise floor: what a twin shows against its base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from raftmark.bench.analysis.statistics import (
    joint_ratio_interval,
    median_interval,
    ratio_interval,
    unpaired_ratio_interval,
)
from raftmark.report.model import Comparison, Floor, Outcome, Quantity, Samples


def quantity(values: Sequence[float]) -> Quantity:
    """Estimate the median of one value per block. One block alone gives no interval."""
    if len(values) == 1:
        return Quantity(values[0], blocks=1)
    estimate = median_interval(values)
    return Quantity(estimate.value, (estimate.low, estimate.high), len(values))


def quantities(samples: Samples) -> dict[str, Quantity]:
    """Estimate the figure of each contender that has any sample."""
    return {name: quantity(list(values.values())) for name, values in samples.items() if values}


FEWEST_BLOCKS = 3
"""With fewer than three blocks an interval that holds along with others says nothing."""


def compare(
    subject: Mapping[int, float],
    reference: Mapping[int, float],
    *,
    higher_is_better: bool,
    among: int | None = None,
) -> Comparison:
    """Compare two contenders by the ratio subject/reference within their common blocks.

    The interval is of this ratio by itself, or one of `among` that hold together.
    """
    if not subject:
        return Comparison(None, Outcome.UNKNOWN, "no successful trial")
    if not reference:
        return Comparison(None, Outcome.UNKNOWN, "nothing to compare with")
    common = sorted(subject.keys() & reference.keys())
    if not common:
        return Comparison(None, Outcome.UNKNOWN, "no block in which both succeeded")
    numerators = [subject[block] for block in common]
    denominators = [reference[block] for block in common]
    if not all(value > 0 for value in (*numerators, *denominators)):
        return Comparison(None, Outcome.UNKNOWN, "a figure of zero has no ratio")
    if len(common) == 1:
        ratio = Quantity(numerators[0] / denominators[0], blocks=1)
        return Comparison(ratio, Outcome.UNKNOWN, "only one block, so no interval")
    estimate = (
        ratio_interval(numerators, denominators)
        if among is None
        else joint_ratio_interval(numerators, denominators, among)
    )
    if among is not None and len(common) < FEWEST_BLOCKS:
        ratio = Quantity(estimate.value, blocks=len(common))
        return Comparison(ratio, Outcome.UNKNOWN, "two blocks tell too little")
    ratio = Quantity(estimate.value, (estimate.low, estimate.high), len(common))
    if estimate.low <= 1 <= estimate.high:
        return Comparison(ratio, Outcome.ALIKE)
    better = (estimate.low > 1) == higher_is_better
    return Comparison(ratio, Outcome.BETTER if better else Outcome.WORSE)


def compare_apart(
    subject: Mapping[int, float], reference: Mapping[int, float], *, higher_is_better: bool
) -> Comparison:
    """Compare figures of two runs, whose blocks have nothing in common but their numbers."""
    one, other = list(subject.values()), list(reference.values())
    if not one or not other:
        return Comparison(None, Outcome.UNKNOWN, "no successful trial")
    if not all(value > 0 for value in (*one, *other)):
        return Comparison(None, Outcome.UNKNOWN, "a figure of zero has no ratio")
    estimate = unpaired_ratio_interval(one, other)
    if math.isnan(estimate.low):
        return Comparison(Quantity(estimate.value), Outcome.UNKNOWN, "one block has no interval")
    ratio = Quantity(estimate.value, (estimate.low, estimate.high), min(len(one), len(other)))
    if estimate.low <= 1 <= estimate.high:
        return Comparison(ratio, Outcome.ALIKE)
    better = (estimate.low > 1) == higher_is_better
    return Comparison(ratio, Outcome.BETTER if better else Outcome.WORSE)


def above(noise: Floor | None, found: Comparison) -> Comparison:
    """Take back a verdict on a ratio that is no further from 1 than the noise floor."""
    if noise is None or found.ratio is None or not noise.covers(found.ratio.value):
        return found
    if found.outcome not in {Outcome.BETTER, Outcome.WORSE}:
        return found
    return replace(found, outcome=Outcome.ALIKE, reason="within the noise floor")


def compare_counts(subject: float | None, reference: float | None) -> Comparison:
    """Compare two counts, of which less is better; they are exact."""
    if subject is None:
        return Comparison(None, Outcome.UNKNOWN, "not counted")
    if not reference:
        return Comparison(None, Outcome.UNKNOWN, "nothing to compare with")
    ratio = Quantity(subject / reference, exact=True)
    if subject == reference:
        return Comparison(ratio, Outcome.ALIKE)
    return Comparison(ratio, Outcome.BETTER if subject < reference else Outcome.WORSE)
