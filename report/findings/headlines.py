"""What the contenders are compared in on the first screen, and at which cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    ELECTION_MEDIAN,
    LATENCY_P99,
    MEMORY_PER_ENTRY,
    THROUGHPUT,
    VOTING_MEDIAN,
    Metric,
)
from raftmark.bench.analysis.statistics import noise_floor
from raftmark.bench.codemetrics import SourceMetrics
from raftmark.bench.design.cells import NATIVE
from raftmark.bench.design.specification import Cell
from raftmark.bench.exports.kept import Kept
from raftmark.report.findings.comparison import (
    above,
    compare,
    compare_counts,
    quantities,
)
from raftmark.report.findings.drift import drift
from raftmark.report.findings.evidence import Evidence
from raftmark.report.findings.loads import besides
from raftmark.report.findings.wording import outstanding, setting, timeouts
from raftmark.report.model import Code, Contender, Floor, Headline, Quantity, Samples

OUTSTANDING = 64
"""Outstanding commands at which the contenders are compared under load, or the nearest."""

TIMEOUT_MS = [150, 300]
"""Election timeouts at which elections are compared, if measured: the Raft paper's advice."""


class _Kind(NamedTuple):
    """A headline: the metric, and the title that a column has room for."""

    key: str
    metric: Metric
    title: str


_ALONE = (_Kind("alone", THROUGHPUT, "One at a time"),)
_BUSY = (
    _Kind("throughput", THROUGHPUT, "Throughput"),
    _Kind("tail", LATENCY_P99, "p99 latency"),
)
_DISK = (_Kind("disk", THROUGHPUT, "On disk"),)
_ELECTION = (
    _Kind("voting", VOTING_MEDIAN, "Candidacy to leader"),
    _Kind("election", ELECTION_MEDIAN, "Whole election"),
)
_COST = (
    _Kind("cpu", CPU_PER_COMMAND, "CPU / command"),
    _Kind("memory", MEMORY_PER_ENTRY, "Memory / entry"),
)


def headlines(
    evidence: Evidence,
    code: Mapping[str, Code | str],
    contenders: Mapping[str, Contender],
    kept: Sequence[Kept] = (),
) -> tuple[Headline, ...]:
    """Compare the contenders in what was measured, then in what was counted.

    Where runs like this one are `kept`, they tell how far ratios move from run to run.
    """
    transports = dict.fromkeys(cell.transport for cell in evidence.cells)
    found = [each for transport in transports for each in _of_trials(evidence, transport)]
    pairs = list(_pairs(contenders))
    twins = {name: one.base for name, one in contenders.items() if one.twin}
    among = len(found) * len(pairs)
    return (
        *(
            measured_headline(
                f"{kind.key}@tcp" if cell.transport != NATIVE else kind.key,
                kind.title,
                condition,
                kind.metric.unit,
                setting=setting(cell),
                samples=evidence.samples(cell, kind.metric),
                higher_is_better=kind.metric.higher_is_better,
                twins=twins,
                pairs=pairs,
                among=among,
                deployed=cell.transport != NATIVE,
                drift=drift(evidence, cell, kind.metric, pairs, kept),
            )
            for kind, cell, condition in found
        ),
        *_of_code(code),
    )


def comparisons(headlines: Iterable[Headline]) -> int:
    """Return how many comparisons are looked at, whose intervals hold together."""
    return sum(len(headline.pairs) // 2 for headline in headlines if not headline.counted)


def _pairs(contenders: Mapping[str, Contender]) -> Iterator[tuple[str, str]]:
    """Yield whom to compare: those in one placement, and a contender's own two placements.

    Peers answer another question, and are compared in their own section.
    """
    shown = [c for c in contenders.values() if not c.twin and c.peer is None]
    for one, other in combinations(shown, 2):
        if one.deployed == other.deployed or one.base == other.base:
            yield one.name, other.name


def _of_trials(evidence: Evidence, transport: str) -> Iterator[tuple[_Kind, Cell, str]]:
    """Yield what is compared of what was measured in a placement: kind, cell and condition."""

    def there(cell: Cell) -> bool:
        return cell.transport == transport

    def at(
        cell: Cell, condition: str, kinds: tuple[_Kind, ...]
    ) -> Iterator[tuple[_Kind, Cell, str]]:
        yield from ((kind, cell, condition) for kind in kinds)

    # Of several cells with as many outstanding commands, the specification's first is compared.
    loads = {c.workload["outstanding"]: c for c in reversed(evidence.cells_of("replicate", there))}
    elections = evidence.cells_of("election", there)
    if loads:
        busy = min(loads, key=lambda commands: abs(commands - OUTSTANDING))
        alone = min(loads)
        if alone != busy:
            yield from at(loads[alone], outstanding(alone), _ALONE)
        yield from at(loads[busy], outstanding(busy), _BUSY)
        for cell in evidence.cells_of("replicate", there):
            if cell.cluster["storage"] == "disk" and (
                besides(cell, "storage") == besides(loads[busy], "storage")
            ):
                yield from at(cell, f"{outstanding(busy)}, on disk", _DISK)
    if elections:
        advised = (c for c in elections if c.cluster["election_timeout_ms"] == TIMEOUT_MS)
        cell = next(advised, elections[0])
        yield from at(cell, timeouts(cell), _ELECTION)
    if loads:
        yield from at(loads[busy], outstanding(busy), _COST)


def _of_code(code: Mapping[str, Code | str]) -> Iterator[Headline]:
    """Compare the contenders in what was counted."""

    def counts(of: Callable[[SourceMetrics], int]) -> dict[str, int | None]:
        return {
            name: None if isinstance(measured, str) else of(measured.runtime_total)
            for name, measured in code.items()
        }

    tokens = counts(lambda metrics: metrics.tokens)
    yield counted_headline("tokens", "Code", "tokens, runtime", counts=tokens)
    complexity = counts(lambda metrics: metrics.complexity)
    yield counted_headline("complexity", "Complexity", "cyclomatic, runtime", counts=complexity)


def measured_headline(
    key: str,
    title: str,
    condition: str,
    unit: str,
    *,
    setting: str,
    samples: Samples,
    higher_is_better: bool,
    twins: Mapping[str, str],
    pairs: Iterable[tuple[str, str]],
    among: int,
    deployed: bool = False,
    drift: float | None = None,
) -> Headline:
    """Compare contenders in something measured, each of `pairs` as one comparison `among` many.

    `twins` are the names of those measured once more, with whom they are; they stand in no
    comparison but in the noise floor.
    """
    noise = noise_of(samples, twins, higher_is_better)
    samples = {name: values for name, values in samples.items() if name not in twins}
    compared = {}
    for one, other in pairs:
        for subject, reference in ((one, other), (other, one)):
            found = compare(
                samples[subject],
                samples[reference],
                higher_is_better=higher_is_better,
                among=among,
            )
            compared[subject, reference] = above(noise, found)
    return Headline(
        key=key,
        title=title,
        condition=condition,
        setting=setting,
        unit=unit,
        higher_is_better=higher_is_better,
        figures=quantities(samples),
        pairs=compared,
        deployed=deployed,
        noise=noise,
        drift=drift,
        samples=samples,
    )


def counted_headline(
    key: str, title: str, condition: str, *, counts: Mapping[str, int | None]
) -> Headline:
    """Compare all contenders in something counted exactly, of which less is better."""
    known = {name: float(count) for name, count in counts.items() if count is not None}
    compared = {
        (one, other): compare_counts(known.get(one), known.get(other))
        for one, other in permutations(counts, 2)
    }
    return Headline(
        key=key,
        title=title,
        condition=condition,
        setting="",
        unit="",
        higher_is_better=False,
        figures={name: Quantity(count, exact=True) for name, count in known.items()},
        pairs=compared,
        counted=True,
    )


def noise_of(samples: Samples, twins: Mapping[str, str], higher_is_better: bool) -> Floor | None:
    """Return the farthest that a twin is from whom it is; None without twins."""
    floors = []
    for twin, base in twins.items():
        again, once = samples.get(twin, {}), samples.get(base, {})
        found = compare(again, once, higher_is_better=higher_is_better)
        if found.ratio is not None and found.ratio.interval is not None:
            common = sorted(again.keys() & once.keys())
            floor = noise_floor([once[block] for block in common], [again[b] for b in common])
            floors.append(Floor(twin, base, found, 1 + floor))
    return max(floors, key=lambda floor: floor.factor, default=None)
