"""Environment: the runtimes and the machine."""

from __future__ import annotations

from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Section


def section(_: Analysis) -> Section:
    """Return the section."""
    return Section("environment", "Environment", {})
