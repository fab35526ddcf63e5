"""What a reader has to know before quoting a figure of a run."""

from __future__ import annotations

from collections.abc import Iterator

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.coverage import BLOCKS_FOR_95, coverage
from raftmark.report.findings.numbers import spell_count
from raftmark.report.findings.wording import PERCENT, cardinal


def caveats(analysis: Analysis) -> list[str]:
    """Say what a reader has to know, most serious first."""
    return list(_caveats(analysis))


def _caveats(analysis: Analysis) -> Iterator[str]:
    for contender in analysis.shown.values():
        if contender.absence:
            yield f"{contender.label}: {contender.absence} ({contender.reason})."
    yield from (f"{caution}." for caution in analysis.cautions)
    if analysis.missing:
        yield _missing(analysis)
    for contender in analysis.contenders.values():
        if contender.failed and contender.ok:
            trials = contender.ok + contender.failed
            yield (
                f"{spell_count(contender.failed)} of {spell_count(trials)} trials of "
                f"{contender.label} failed. They are in no figure, and are listed below."
            )
    for name, measured in analysis.code.items():
        if isinstance(measured, str):
            yield f"The code of {analysis.contenders[name].label} is not counted: {measured}."
    for headline in analysis.headlines:
        if not headline.figures and analysis.measured_anything:
            yield f"{headline.title} ({headline.condition}) has no figure for any contender."
    if analysis.blocks == 1:
        yield (
            "One block gives no intervals, so nothing here can be told apart. "
            f"Measure {cardinal(BLOCKS_FOR_95)} or more."
        )
    elif 0 < analysis.blocks < BLOCKS_FOR_95:
        share = 100 * coverage(analysis.blocks)
        yield (
            f"{cardinal(analysis.blocks).capitalize()} {analysis.unit}s are too few for "
            f"95{PERCENT} intervals: these hold the true median {share:.0f}{PERCENT} of the time "
            f"at most. Measure {cardinal(BLOCKS_FOR_95)} or more."
        )


def _missing(analysis: Analysis) -> str:
    """Say that trials are missing; where the profile's time was over, what that leaves."""
    expected = spell_count(analysis.expected)
    measured = [h for h in analysis.headlines if not h.counted]
    blocks = [found.blocks for headline in measured for found in headline.figures.values()]
    if analysis.time_over_s is None or not blocks:
        missing = spell_count(analysis.missing)
        return f"The run is not complete: {missing} of {expected} trials are missing."
    return (
        f"The {analysis.time_over_s:g} s that the profile {analysis.profile} may take were over "
        f"after {spell_count(analysis.expected - analysis.missing)} of {expected} trials; every "
        f"figure of the verdict is of {cardinal(min(blocks))} blocks or more."
    )
