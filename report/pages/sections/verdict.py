"""Verdict: every pair of contenders, and every contender's figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import models
from raftmark.report.findings.conclusion import rule
from raftmark.report.findings.wording import headline_unit
from raftmark.report.model import Comparison, Headline, Section


class Pair(NamedTuple):
    """Two contenders, the one that commits more first, and how they compare in each column."""

    one: str
    other: str
    compared: list[Comparison | None]


class Group(NamedTuple):
    """A placement: its pairs of models, those with controls or other forms, its contenders, and
    its headline in each column."""

    title: str
    pairs: list[Pair]
    others: list[Pair]
    names: Sequence[str]
    headlines: list[Headline | None]


def section(analysis: Analysis) -> Section:
    """Return the section."""
    columns = list({h.kind: h for h in analysis.headlines if not h.deployed}.values())
    known = {headline.kind for headline in columns}
    columns += [h for h in analysis.headlines if h.kind not in known]
    facts = {
        "groups": list(_groups(analysis, columns)),
        "columns": columns,
        "units": {h.kind: _unit(analysis, h.kind) for h in columns},
        "rule": rule(analysis),
        "grouped_by": analysis.moved_by,
    }
    return Section("verdict", "Verdict", facts)


def _unit(analysis: Analysis, kind: str) -> tuple[str, float]:
    """Choose one unit for a column, whatever the placement."""
    alike = [headline for headline in analysis.headlines if headline.kind == kind]
    figures = {f"{h.key}/{name}": found for h in alike for name, found in h.figures.items()}
    return headline_unit(replace(alike[0], figures=figures))


def _groups(analysis: Analysis, columns: Sequence[Headline]) -> Iterator[Group]:
    """Yield each placement; what is counted stands with the last."""
    if not analysis.placements:
        counted = [column if column.counted else None for column in columns]
        yield _group("", list(analysis.shown), list(analysis.shown), counted)
    for number, placement in enumerate(analysis.placements, 1):
        last = number == len(analysis.placements)
        own = {h.kind: h for h in (*placement.headlines, *(analysis.counted if last else ()))}
        asked = models(analysis, placement)
        yield _group(placement.title, placement.names, asked, [own.get(c.kind) for c in columns])


def _group(
    title: str, names: Sequence[str], models: Sequence[str], headlines: list[Headline | None]
) -> Group:
    ordered = sorted(names, key=lambda name: _rank(headlines, name))
    pairs = [
        Pair(one, other, [None if h is None else h.pairs.get((one, other)) for h in headlines])
        for one, other in combinations(ordered, 2)
    ]
    asked = [pair for pair in pairs if {pair.one, pair.other} <= set(models)]
    return Group(title, asked, [pair for pair in pairs if pair not in asked], names, headlines)


def _rank(headlines: Sequence[Headline | None], name: str) -> float:
    """Place who commits more before who commits less, and who has no figure last."""
    known = (h.figures.get(name) for h in headlines if h is not None and h.kind == "throughput")
    return next((-figure.value for figure in known if figure is not None), 1.0)
