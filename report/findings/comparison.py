"""How figures are made of samples and compared: the statistical rules of the report.

Samples are one value per contender and block. A figure is their median over blocks; a comparison
is the median of the ratios within blocks. Both come with the 95 % intervals of
`bench.statistics`. Two contenders cannot be told apart if their ratio's interval contains 1, or if
the ratio is no further from 1 than the noise floor: what a twin shows against its base. Of the
verdicts that are left, `together` says which hold all at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from raftmark.bench.analysis.statistics import (
    CONFIDENCE,
    holm,
    median_interval,
    noise_floor,
    paired_p_value,
    ratio_interval,
    unpaired_ratio_interval,
)
from raftmark.report.model import Comparison, Floor, Headline, Outcome, Quantity

BLOCKS_FOR_95 = 6
"""The fewest blocks whose lowest and highest value enclose the median 95 % of the time."""

Samples = Mapping[str, Mapping[int, float]]
"""One value by contender and block; a contender without any is there with no block."""


def coverage(blocks: int) -> float:
    """Return how often, at most, the interval of a median over so few blocks holds the truth.

    An interval never reaches beyond the lowest and the highest value, and those enclose the median
    with probability 1 - 2 * 0.5^blocks, whatever its distribution.
    """
    return 0.95 if blocks >= BLOCKS_FOR_95 else 1 - 2 * 0.5**blocks


def coverage_apart(blocks: int, others: int) -> float:
    """Return how often, at most, the interval of the ratio of two runs holds the truth.

    It never reaches beyond the lowest and the highest quotient, and those fail only if every value
    of the one lies below every value of the other: in 2 of all orders of them.
    """
    return min(0.95, 1 - 2 / math.comb(blocks + others, blocks))


def quantity(values: Sequence[float]) -> Quantity:
    """Estimate the median of one value per block. One block alone gives no interval."""
    if len(values) == 1:
        return Quantity(values[0], blocks=1)
    estimate = median_interval(values)
    return Quantity(estimate.value, (estimate.low, estimate.high), len(values))


def quantities(samples: Samples) -> dict[str, Quantity]:
    """Estimate the figure of each contender that has any sample."""
    return {name: quantity(list(values.values())) for name, values in samples.items() if values}


def compare(
    subject: Mapping[int, float], reference: Mapping[int, float], *, higher_is_better: bool
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
    if not all(value > 0 for value in (*numerators, *denominators)):
        return Comparison(None, Outcome.UNKNOWN, "a figure of zero has no ratio")
    if len(common) == 1:
        ratio = Quantity(numerators[0] / denominators[0], blocks=1)
        return Comparison(ratio, Outcome.UNKNOWN, "only one block, so no interval")
    estimate = ratio_interval(numerators, denominators)
    ratio = Quantity(estimate.value, (estimate.low, estimate.high), len(common))
    p_value = paired_p_value(numerators, denominators)
    if estimate.low <= 1 <= estimate.high:
        return Comparison(ratio, Outcome.ALIKE, p_value=p_value)
    better = (estimate.low > 1) == higher_is_better
    return Comparison(ratio, Outcome.BETTER if better else Outcome.WORSE, p_value=p_value)


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
    twins: Mapping[str, str],
) -> Headline:
    """Compare all contenders in something measured, with the baseline and with the best.

    `twins` are the names of those measured once more, with whom they are; they stand in no
    comparison but in the noise floor.
    """
    noise = _noise(samples, twins)
    samples = {name: values for name, values in samples.items() if name not in twins}
    figures = quantities(samples)
    best = _best({name: figure.value for name, figure in figures.items()}, higher_is_better)

    def against(reference: str | None) -> dict[str, Comparison]:
        referred = samples[reference] if reference is not None else {}
        return {
            name: above(noise, compare(values, referred, higher_is_better=higher_is_better))
            for name, values in samples.items()
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
        noise=noise,
        samples=samples,
    )


def above(noise: Floor | None, found: Comparison) -> Comparison:
    """Take back a verdict on a ratio that is no further from 1 than the noise floor."""
    if noise is None or found.ratio is None or not noise.covers(found.ratio.value):
        return found
    if found.outcome not in {Outcome.BETTER, Outcome.WORSE}:
        return found
    return replace(found, outcome=Outcome.ALIKE, reason="within the noise floor")


def together(headlines: Iterable[Headline]) -> tuple[Headline, ...]:
    """Mark, of all measured comparisons with the baseline, those that hold all at once.

    With so many looks some differences show up by chance; Holm's correction says which are there
    at 5 % whatever the others are.
    """
    headlines = tuple(headlines)
    adjusted = holm(
        {
            f"{headline.key}/{name}": compared.p_value
            for headline in headlines
            for name, compared in headline.against_baseline.items()
            if compared.p_value is not None
        }
    )
    return tuple(
        replace(
            headline,
            against_baseline={
                name: replace(
                    compared,
                    together=adjusted.get(f"{headline.key}/{name}", 1.0) < 1 - CONFIDENCE,
                )
                for name, compared in headline.against_baseline.items()
            },
        )
        for headline in headlines
    )


def blocks_for(comparisons: int) -> int:
    """Return the fewest blocks with which so many comparisons could all hold at once.

    The lowest p-value that n blocks can give is 2 * 0.5^n.
    """
    return math.ceil(math.log2(2 * max(1, comparisons) / (1 - CONFIDENCE)) + 1e-9)


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
        counted=True,
    )


def _noise(samples: Samples, twins: Mapping[str, str]) -> Floor | None:
    floors = []
    for twin, base in twins.items():
        again, once = samples.get(twin, {}), samples.get(base, {})
        found = compare(again, once, higher_is_better=True)
        if found.ratio is not None and found.ratio.interval is not None:
            common = sorted(again.keys() & once.keys())
            floor = noise_floor([once[block] for block in common], [again[b] for b in common])
            floors.append(Floor(twin, base, found, 1 + floor))
    return max(floors, key=lambda floor: floor.factor, default=None)


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
