"""How far ratios move from run to run, or from host to host, beyond the noise within each.

Of runs that are pooled, or hosts that measured blocks, the evidence itself tells. Of one run those
tell that are kept of the same machine, with contenders that ran on the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from raftmark.bench.analysis.distributions import normal_quantile
from raftmark.bench.analysis.metrics import Metric
from raftmark.bench.analysis.statistics import CONFIDENCE, between_runs
from raftmark.bench.design.specification import Cell
from raftmark.bench.exports.kept import Kept
from raftmark.report.findings.evidence import Evidence
from raftmark.report.findings.pooling import FEWEST_RUNS
from raftmark.report.model import Samples

Groups = dict[int | str | None, list[float]]
"""The ratios of two contenders, a block each, by the run or host that they are of."""


def drift(
    evidence: Evidence,
    cell: Cell,
    metric: Metric,
    pairs: Iterable[tuple[str, str]],
    kept: Sequence[Kept] = (),
) -> float | None:
    """Return the factor within which 95 % of runs' or hosts' ratios lie, of all pairs together.

    None where all are of one, and nothing that is `kept` tells more.
    """
    samples = evidence.block_samples(cell, metric)
    others = [each.samples(cell, metric) for each in kept] if evidence.grouped_by is None else []
    fewest = 2 if evidence.grouped_by is not None else FEWEST_RUNS
    variances = []
    for one, other in pairs:
        groups = _grouped(evidence, samples, one, other)
        for number, found in enumerate(others, 1):
            groups[number] = list(_ratios(found, one, other).values())
        told = [ratios for ratios in groups.values() if len(ratios) > 1]
        if len(told) >= fewest:
            variances.append(between_runs(told) ** 2)
    if not variances:
        return None
    deviation = math.sqrt(math.fsum(variances) / len(variances))
    return math.exp(normal_quantile((1 + CONFIDENCE) / 2) * deviation)


def _grouped(evidence: Evidence, samples: Samples, one: str, other: str) -> Groups:
    groups: Groups = {}
    for block, ratio in _ratios(samples, one, other).items():
        groups.setdefault(evidence.group_of(block), []).append(ratio)
    return groups


def _ratios(samples: Mapping[str, Mapping[int, float]], one: str, other: str) -> dict[int, float]:
    ones, others = samples.get(one, {}), samples.get(other, {})
    return {
        block: ones[block] / others[block]
        for block in sorted(ones.keys() & others.keys())
        if ones[block] > 0 and others[block] > 0
    }
