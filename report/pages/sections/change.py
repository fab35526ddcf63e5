"""Change: this run against one before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.comparison import compare_apart
from raftmark.report.findings.coverage import coverage_apart
from raftmark.report.findings.wording import headline_unit
from raftmark.report.model import Comparison, Headline, Quantity, Section


@dataclass(frozen=True, slots=True)
class Changed:
    """A headline of both runs: the figures before and now, and the ratios of now to before."""

    headline: Headline
    unit: tuple[str, float]
    before: Mapping[str, Quantity]
    now: Mapping[str, Quantity]
    ratios: Mapping[str, Comparison]


def section(analysis: Analysis) -> Section | None:
    """Return the section, if there is a run to compare with."""
    before = analysis.before
    if before is None:
        return None
    earlier = {(h.key, h.condition, h.setting): h for h in before.headlines if not h.counted}
    rows = [
        _changed(headline, earlier[key])
        for headline in analysis.headlines
        if (key := (headline.key, headline.condition, headline.setting)) in earlier
    ]
    facts = {
        "before": before,
        "rows": [row for row in rows if row.ratios],
        "gone": [c.label for name, c in before.shown.items() if name not in analysis.shown],
        "come": [c.label for name, c in analysis.shown.items() if name not in before.shown],
        "coverage": coverage_apart(analysis.blocks, before.blocks),
        "same_machine": before.machine == analysis.machine,
    }
    return Section("change", "Change", facts)


def _changed(now: Headline, before: Headline) -> Changed:
    both = [name for name in now.figures if name in before.figures]
    ratios = {
        name: compare_apart(
            now.samples[name], before.samples[name], higher_is_better=now.higher_is_better
        )
        for name in both
    }
    return Changed(now, headline_unit(now), before.figures, now.figures, ratios)
