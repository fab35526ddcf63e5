"""What the contenders are compared in on the first screen, and at which cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    ELECTION_MEDIAN,
    LATENCY_P50,
    LATENCY_P99,
    MEMORY_PER_ENTRY,
    THROUGHPUT,
    Metric,
)
from raftmark.bench.analysis.statistics import CONFIDENCE, holm, noise_floor
from raftmark.bench.codemetrics import SourceMetrics
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.comparison import above, compare, compare_counts, quantities
from raftmark.report.findings.evidence import Evidence
from raftmark.report.findings.wording import outstanding, setting, timeouts
from raftmark.report.model import Code, Comparison, Floor, Headline, Quantity, Samples

OUTSTANDING = 64
"""Outstanding commands at which the contenders are compared under load, or the nearest."""

TIMEOUT_MS = [150, 300]
"""Election timeouts at which elections are compared, if measured: the Raft paper's advice."""


class _Kind(NamedTuple):
    """A headline: the metric, and the title that a column has room for."""

    key: str
    metric: Metric
    title: str


_BUSY = (
    _Kind("throughput", THROUGHPUT, "Throughput"),
    _Kind("tail", LATENCY_P99, "p99 latency"),
)
_ALONE = (_Kind("latency", LATENCY_P50, "Median latency"),)
_ELECTION = (_Kind("election", ELECTION_MEDIAN, "Election"),)
_COST = (
    _Kind("cpu", CPU_PER_COMMAND, "CPU / command"),
    _Kind("memory", MEMORY_PER_ENTRY, "Memory / entry"),
)


def headlines(
    evidence: Evidence,
    code: Mapping[str, Code | str],
    baseline: str | None,
    twins: Mapping[str, str],
) -> tuple[Headline, ...]:
    """Compare the contenders in what was measured, then in what was counted.

    `twins` are the names of those measured once more, with whom they are.
    """
    return (*together(_of_trials(evidence, baseline, twins)), *_of_code(code, baseline))


def _of_trials(
    evidence: Evidence, baseline: str | None, twins: Mapping[str, str]
) -> Iterator[Headline]:
    """Compare the contenders in what was measured; `twins` are those that are another again."""

    def at(cell: Cell, condition: str, kinds: tuple[_Kind, ...]) -> Iterator[Headline]:
        for key, metric, title in kinds:
            yield measured_headline(
                key,
                title,
                condition,
                metric.unit,
                setting=setting(cell),
                samples=evidence.samples(cell, metric),
                higher_is_better=metric.higher_is_better,
                baseline=baseline,
                twins=twins,
            )

    # Of several cells with as many outstanding commands, the specification's first is compared.
    loads = {c.workload["outstanding"]: c for c in reversed(evidence.cells_of("replicate"))}
    elections = evidence.cells_of("election")
    if loads:
        busy = min(loads, key=lambda commands: abs(commands - OUTSTANDING))
        alone = min(loads)
        yield from at(loads[busy], outstanding(busy), _BUSY)
        yield from at(loads[alone], outstanding(alone), _ALONE)
    if elections:
        advised = (c for c in elections if c.cluster["election_timeout_ms"] == TIMEOUT_MS)
        cell = next(advised, elections[0])
        yield from at(cell, timeouts(cell), _ELECTION)
    if loads:
        yield from at(loads[busy], outstanding(busy), _COST)


def _of_code(code: Mapping[str, Code | str], baseline: str | None) -> Iterator[Headline]:
    """Compare the contenders in what was counted."""

    def counts(of: Callable[[SourceMetrics], int]) -> dict[str, int | None]:
        return {
            name: None if isinstance(measured, str) else of(measured.runtime_total)
            for name, measured in code.items()
        }

    yield counted_headline(
        "tokens",
        "Code",
        "tokens, runtime",
        counts=counts(lambda metrics: metrics.tokens),
        baseline=baseline,
    )
    yield counted_headline(
        "complexity",
        "Complexity",
        "cyclomatic, runtime",
        counts=counts(lambda metrics: metrics.complexity),
        baseline=baseline,
    )


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


def counted_headline(
    key: str, title: str, condition: str, *, counts: Mapping[str, int | None], baseline: str | None
) -> Headline:
    """Compare all contenders in something counted exactly, of which less is better."""
    known = {name: float(count) for name, count in counts.items() if count is not None}

    def against(reference: str | None) -> dict[str, Comparison]:
        return {
            name: compare_counts(known.get(name), known.get(reference) if reference else None)
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


def _best(figures: Mapping[str, float], higher_is_better: bool) -> str | None:
    if not figures:
        return None
    choose = max if higher_is_better else min
    return choose(figures, key=lambda name: figures[name])
