"""Method: how the figures came about, and how to repeat them."""

from __future__ import annotations

from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Section


def section(_: Analysis) -> Section:
    """Return the section."""
    return Section("method", "Method", {})
