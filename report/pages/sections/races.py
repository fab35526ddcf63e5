"""Races: the seminar paper's programs, and how often each of their outcomes came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from raftmark.bench.runs.outcomes import PROGRAMS, Outcomes
from raftmark.report.findings.analysis import Analysis
from raftmark.report.model import Section


@dataclass(frozen=True, slots=True)
class Program:
    """A program: what it does, its outcomes, the most frequent first, and what was counted."""

    name: str
    does: str
    outcomes: tuple[str, ...]
    counted: Mapping[str, Outcomes]


def section(analysis: Analysis) -> Section:
    """Return the section, which says so if nothing was counted."""
    counted = [each for each in analysis.evidence.outcomes if each.contender in analysis.shown]
    programs = [
        _program(name, does, [each for each in counted if each.program == name])
        for name, does in PROGRAMS.items()
    ]
    facts = {
        "programs": [program for program in programs if program.counted],
        "failed": [each for each in counted if each.failure is not None],
    }
    return Section("races", "Races", facts, ("races",), empty=not facts["programs"])


def _program(name: str, does: str, counted: list[Outcomes]) -> Program:
    total: Counter[str] = Counter()
    for each in counted:
        total.update(each.outcomes)
    usual = sorted(total, key=lambda outcome: (-total[outcome], outcome))
    return Program(name, does, tuple(usual), {each.contender: each for each in counted})
