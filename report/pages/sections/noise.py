"""Noise floor: the same program measured twice under two names."""

from __future__ import annotations

from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Section


def section(analysis: Analysis) -> Section:
    """Return the section; without a twin it says that there is none."""
    twins = [
        (twin, analysis.contenders[twin.base])
        for twin in analysis.contenders.values()
        if twin.twin and twin.base in analysis.contenders
    ]
    rows = [(headline, headline.noise) for headline in analysis.headlines if headline.noise]
    return Section("noise", "Noise floor", {"twins": twins, "rows": rows}, empty=not twins)
