"""Method: how the figures came about, and how to repeat them."""

from __future__ import annotations

from raftmark.report.model import Analysis, Section


def section(_: Analysis) -> Section:
    """Return the section."""
    return Section("method", "Method", {})
