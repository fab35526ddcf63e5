"""Verdict: each contender against the baseline in each headline."""

from __future__ import annotations

from report.conclusion import findings
from report.model import Analysis, Section
from report.wording import headline_unit


def section(analysis: Analysis) -> Section:
    """Return the section."""
    return Section(
        "verdict",
        "Verdict",
        {
            "rows": [
                (name, [(h, h.against_baseline.get(name)) for h in analysis.headlines])
                for name in analysis.contenders
            ],
            "units": {h.key: headline_unit(h) for h in analysis.headlines},
            "findings": findings(analysis),
        },
    )
