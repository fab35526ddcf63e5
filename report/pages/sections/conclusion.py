"""Conclusion: sentences written from the data by stated rules."""

from __future__ import annotations

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.conclusion import findings, rule
from raftmark.report.model import Section


def section(analysis: Analysis) -> Section:
    """Return the section."""
    facts = {"findings": findings(analysis), "rule": rule(analysis)}
    return Section("conclusion", "Conclusion", facts)
