"""Trials: every one that was asked for, and why those failed that did."""

from __future__ import annotations

from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Section


def section(analysis: Analysis) -> Section:
    """Return the section."""
    workloads = {cell.id: cell.workload["name"] for cell in analysis.evidence.cells}
    facts = {"failures": analysis.evidence.failures, "workloads": workloads}
    return Section("trials", "Trials", facts)
