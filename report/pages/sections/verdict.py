"""Verdict: each contender against the baseline in each headline."""

from __future__ import annotations

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.conclusion import rule
from raftmark.report.findings.wording import headline_unit
from raftmark.report.model import Section


def section(analysis: Analysis) -> Section:
    """Return the section."""
    # A lone command's latency stands in the frontier and the conclusion: a row has no room for it.
    columns = [h for h in analysis.headlines if h.key != "latency"]
    return Section(
        "verdict",
        "Verdict",
        {
            "rows": [
                (name, [(h, h.against_baseline.get(name)) for h in columns])
                for name in analysis.shown
            ],
            "columns": columns,
            "units": {h.key: headline_unit(h) for h in analysis.headlines},
            "noise": any(h.noise for h in analysis.headlines),
            "rule": rule(analysis),
            "unexamined": [found.label for found in analysis.shown.values() if found.level is None],
        },
    )
