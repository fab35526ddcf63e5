"""Verdict: every pair of contenders, and every contender's figures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.conclusion import rule
from raftmark.report.findings.headlines import comparisons
from raftmark.report.findings.wording import headline_unit
from raftmark.report.model import Comparison, Headline, Section


class Pair(NamedTuple):
    """Two contenders, the one that commits more first, and how they compare in each headline."""

    one: str
    other: str
    compared: list[tuple[Headline, Comparison | None]]


def section(analysis: Analysis) -> Section:
    """Return the section."""
    facts = {
        "groups": list(_groups(analysis)),
        "columns": analysis.headlines,
        "units": {h.key: headline_unit(h) for h in analysis.headlines},
        "noise": any(h.noise for h in analysis.headlines),
        "drift": any(h.drift for h in analysis.headlines),
        "rule": rule(analysis),
        "many": comparisons(analysis.headlines),
    }
    return Section("verdict", "Verdict", facts)


def _groups(analysis: Analysis) -> Iterator[tuple[str, list[Pair]]]:
    """Yield the pairs of each placement, then each contender's two placements."""
    for placement in analysis.placements:
        ordered = sorted(placement.names, key=lambda name: _rank(analysis, name))
        pairs = [_pair(analysis, one, other) for one, other in combinations(ordered, 2)]
        if pairs:
            yield placement.title, pairs
    apart = [
        _pair(analysis, one.name, other.name)
        for one, other in combinations(analysis.shown.values(), 2)
        if one.deployed != other.deployed and one.base == other.base
    ]
    if apart:
        yield "One placement against the other", apart


def _rank(analysis: Analysis, name: str) -> float:
    """Place who commits more before who commits less, and who has no figure last."""
    known = (h.figures.get(name) for h in analysis.headlines if h.key == "throughput")
    return next((-figure.value for figure in known if figure is not None), 1.0)


def _pair(analysis: Analysis, one: str, other: str) -> Pair:
    return Pair(one, other, [(h, h.pairs.get((one, other))) for h in analysis.headlines])
