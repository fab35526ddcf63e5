"""How figures are made of samples and compared: the statistical rules of the report.

Samples are one value per contender and block. A figure is their median over blocks; a comparison
is the median of the ratios within blocks. Both come with the 95 % intervals of
`bench.statistics`. Two contenders whose ratio's interval contains 1 cannot be told apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from bench.statistics import median_interval, ratio_interval
from report.model import Comparison, Headline, Outcome, Quantity

BLOCKS_FOR_95 = 6
"""The fewest blocks whose lowest and highest value enclose the median 95 % of the time."""

Samples = Mapping[str, Mapping[int, float]]
"""One value by contender and block; a contender without any is there with no block."""


def rng_for(seed: int, *key: str) -> np.random.Generator:
    """Make the random generator of one estimate: the same every time a report is made."""
    return np.random.default_rng([seed, zlib.crc32("/".join(key).encode())])


def coverage(blocks: int) -> float:
    """Return how often, at most, the interval of a median over so few blocks holds the truth.

    A percentile interval never reaches beyond the lowest and the highest value, and those enclose
    the median with probability 1 - 2 * 0.5^blocks, whatever its distribution.
    """
    return 0.95 if blocks >= BLOCKS_FOR_95 else 1 - 2 * 0.5**blocks


def quantity(values: Sequence[float], rng: np.random.Generator) -> Quantity:
    """Estimate the median of one value per block. One block alone gives no interval."""
    if len(values) == 1:
        return Quantity(values[0], blocks=1)
    estimate = median_interval(values)
    return Quantity(estimate.value, (estimate.low, estimate.high), len(values))


def quantities(samples: Samples, seed: int, key: str) -> dict[str, Quantity]:
    """Estimate the figure of each contender that has any sample."""
    return {
        name: quantity(list(values.values()), rng_for(seed, key, name))
        for name, values in samples.items()
        if values
    }


def compare(
    subject: Mapping[int, float],
    reference: Mapping[int, float],
    *,
    higher_is_better: bool,
    rng: np.random.Generator,
) -> Comparison:
    """Compare two contenders by the ratio subject/reference within their common blocks."""
    if not subject:
        return Comparison(None, Outcome.UNKNOWN, "no successful trial")
    if not reference:
        return Comparison(None, Outcome.UNKNOWN, "nothing to compare with")
    common = sorted(subject.keys() & reference.keys())
    if not common:
        return Comparison(None, Outcome.UNKNOWN, "no block in which both succeeded")
    numerators = [subject[block] for block in common]
    denominators = [reference[block] for block in common]
    if len(common) == 1:
        ratio = Quantity(numerators[0] / denominators[0], blocks=1)
        return Comparison(ratio, Outcome.UNKNOWN, "only one block, so no interval")
    estimate = ratio_interval(numerators, denominators)
    ratio = Quantity(estimate.value, (estimate.low, estimate.high), len(common))
    if estimate.low <= 1 <= estimate.high:
        return Comparison(ratio, Outcome.ALIKE)
    better = (estimate.low > 1) == higher_is_better
    return Comparison(ratio, Outcome.BETTER if better else Outcome.WORSE)


def measured_headline(
    key: str,
    title: str,
    condition: str,
    unit: str,
    *,
    setting: str,
    samples: Samples,
    higher_is_better: bool,
    baseline: str | None,
    seed: int,
) -> Headline:
    """Compare all contenders in something measured, with the baseline and with the best."""
    figures = quantities(samples, seed, key)
    best = _best({name: figure.value for name, figure in figures.items()}, higher_is_better)

    def against(reference: str | None) -> dict[str, Comparison]:
        return {
            name: compare(
                samples[name],
                samples[reference] if reference is not None else {},
                higher_is_better=higher_is_better,
                rng=rng_for(seed, key, name, str(reference)),
            )
            for name in samples
            if name != reference
        }

    return Headline(
        key=key,
        title=title,
        condition=condition,
        setting=setting,
        unit=unit,
        higher_is_better=higher_is_better,
        figures=figures,
        against_baseline=against(baseline),
        best=best,
        against_best=against(best),
    )


def counted_headline(
    key: str, title: str, condition: str, *, counts: Mapping[str, int | None], baseline: str | None
) -> Headline:
    """Compare all contenders in something counted exactly, of which less is better."""
    known = {name: float(count) for name, count in counts.items() if count is not None}

    def against(reference: str | None) -> dict[str, Comparison]:
        return {
            name: _compare_counts(known.get(name), known.get(reference) if reference else None)
            for name in counts
            if name != reference
        }

    best = _best(known, higher_is_better=False)
    return Headline(
        key=key,
        title=title,
        condition=condition,
        setting="",
        unit="",
        higher_is_better=False,
        figures={name: Quantity(count, exact=True) for name, count in known.items()},
        against_baseline=against(baseline),
        best=best,
        against_best=against(best),
    )


def _compare_counts(subject: float | None, reference: float | None) -> Comparison:
    if subject is None:
        return Comparison(None, Outcome.UNKNOWN, "not counted")
    if not reference:
        return Comparison(None, Outcome.UNKNOWN, "nothing to compare with")
    ratio = Quantity(subject / reference, exact=True)
    if subject == reference:
        return Comparison(ratio, Outcome.ALIKE)
    return Comparison(ratio, Outcome.BETTER if subject < reference else Outcome.WORSE)


def _best(figures: Mapping[str, float], higher_is_better: bool) -> str | None:
    if not figures:
        return None
    choose = max if higher_is_better else min
    return choose(figures, key=lambda name: figures[name])
