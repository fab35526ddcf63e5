"""Trials: every one that was asked for, and why those failed that did."""

from __future__ import annotations

from report.model import Analysis, Section


def section(analysis: Analysis) -> Section:
    """Return the section."""
    return Section("trials", "Trials", {"failures": analysis.evidence.failures})
