"""The report's sentences, written from the data by rules.

Each headline gives one sentence: who did best, with the figure, and how each of the others compares
with it. What is said of another follows from its paired ratio to the best:

- its interval excludes 1: the ratio is stated, with the interval;
- its interval contains 1: the two cannot be told apart, and the sentence says so;
- there is no interval, because they have one block in common or none: no verdict, and why;
- it has no figure: it is named, with the reason. Nothing is filled in.

Code is counted, not measured, so its ratios are exact and have no interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.coverage import BLOCKS_FOR_95, blocks_for, coverage
from raftmark.report.findings.numbers import spell_count
from raftmark.report.findings.wording import cardinal, figure, headline_unit, listed, ratio
from raftmark.report.model import Comparison, Headline, Outcome, Quantity

_GLUE = "\N{NO-BREAK SPACE}"
_PERCENT = f"{_GLUE}%"


@dataclass(frozen=True, slots=True)
class _Words:
    """How a headline is spoken of.

    `apart` names the best when it differs from every other one, `measured` when it may not.
    `next` is for the first of those that differ from it, `further` for the rest, and `close` ends
    their list.
    """

    apart: str
    measured: str
    next: str
    further: str = "{label} {ratio}"
    close: str = ""


_WORDS = {
    "throughput": _Words(
        "With {condition}, {best} committed the most, {figure}",
        "With {condition}, the highest throughput is that of {best}, {figure}",
        ": {ratio} times {label}",
        further="{ratio} times {label}",
    ),
    "latency": _Words(
        "With {condition}, {best} committed it soonest, in {figure} at the median",
        "With {condition}, the shortest median latency is that of {best}, {figure}",
        "; {label} took {ratio}",
        close=" times as long",
    ),
    "tail": _Words(
        "With {condition}, {best} had the shortest tail, 99 of 100 commands within {figure}",
        "With {condition}, the shortest p99 latency is that of {best}, {figure}",
        "; {label} took {ratio}",
        close=" times as long",
    ),
    "election": _Words(
        "With {condition}, {best} had a new leader soonest, {figure} after the crash at the median",
        "With {condition}, the shortest median election is that of {best}, {figure}",
        "; {label} took {ratio}",
        close=" times as long",
    ),
    "cpu": _Words(
        "With {condition}, {best} used the least CPU time per command, {figure}",
        "With {condition}, the least CPU time per command is that of {best}, {figure}",
        "; {label} used {ratio}",
        close=" times as much",
    ),
    "memory": _Words(
        "With {condition}, {best} used the least memory per log entry, {figure}",
        "With {condition}, the least memory per log entry is that of {best}, {figure}",
        "; {label} used {ratio}",
        close=" times as much",
    ),
    "tokens": _Words(
        "The runtime is shortest in {best}, {figure} lexical tokens",
        "The shortest runtime is that of {best}, {figure} lexical tokens",
        "; {label} has {ratio}",
        close=" times as many",
    ),
    "complexity": _Words(
        "The runtime is simplest in {best}, with a cyclomatic complexity of {figure} in all",
        "The lowest cyclomatic complexity of a runtime is that of {best}, {figure} in all",
        "; {label} has {ratio}",
        close=" times as much",
    ),
}


def lead(analysis: Analysis) -> str:
    """Answer the report's question in one sentence, by the first headline that has figures."""
    if not _measured_anything(analysis):
        return "This run has no measurement: not one trial succeeded."
    return _sentences(analysis)[0]


def findings(analysis: Analysis) -> list[str]:
    """Say how the contenders compare in all that the lead leaves out, one sentence a headline."""
    sentences = _sentences(analysis)[1 if _measured_anything(analysis) else 0 :]
    return [*sentences, *_together(analysis)]


def rule(analysis: Analysis) -> str:
    """Say when a difference is called one, as it ends a sentence that begins so."""
    beyond = " and its median lies beyond the noise floor"
    noisy = any(headline.noise for headline in analysis.headlines)
    return f"the ratio's interval excludes 1{beyond if noisy else ''}"


def _looks(analysis: Analysis) -> list[Comparison]:
    """All measured comparisons of the verdict table."""
    return [
        compared
        for headline in analysis.headlines
        for compared in headline.against_baseline.values()
        if compared.p_value is not None
    ]


def _together(analysis: Analysis) -> Iterator[str]:
    """Say how many of the differences hold when all comparisons are taken together."""
    looks = _looks(analysis)
    apart = [c for c in looks if c.outcome in {Outcome.BETTER, Outcome.WORSE}]
    if not apart:
        return
    held = sum(compared.together for compared in apart)
    holding = "none of these holds" if not held else f"{spell_count(held)} of these hold"
    assert analysis.baseline is not None, "there is something to compare with"
    yield (
        f"Of {spell_count(len(looks))} measured comparisons with "
        f"{analysis.contenders[analysis.baseline].label}, {spell_count(len(apart))} show a "
        f"difference by themselves; {holding} when all are taken together, "
        f"with 5{_PERCENT} for any error among them."
    )


def caveats(analysis: Analysis) -> list[str]:
    """Say what a reader has to know before quoting a figure; most serious first."""
    return list(_caveats(analysis))


def _measured_anything(analysis: Analysis) -> bool:
    return any(contender.ok for contender in analysis.shown.values())


def _sentences(analysis: Analysis) -> list[str]:
    return [_sentence(headline, analysis) for headline in analysis.headlines if headline.figures]


def _sentence(headline: Headline, analysis: Analysis) -> str:
    assert headline.best is not None, "a headline with figures has a best one"
    labels = {name: contender.label for name, contender in analysis.contenders.items()}
    words = _WORDS[headline.key]
    apart: list[str] = []
    equal: list[str] = []
    alike: list[str] = []
    unclear: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for name, comparison in sorted(headline.against_best.items(), key=lambda item: _lag(item[1])):
        if name not in headline.figures:
            absent.setdefault(str(comparison.reason), []).append(labels[name])
        elif comparison.ratio is None or comparison.outcome is Outcome.UNKNOWN:
            unclear.setdefault(str(comparison.reason), []).append(labels[name])
        elif comparison.outcome is Outcome.ALIKE and comparison.ratio.exact:
            equal.append(labels[name])
        elif comparison.outcome is Outcome.ALIKE:
            alike.append(f"{labels[name]} ({_alike(comparison.ratio)})")
        else:
            form = words.further if apart else words.next
            lag = ratio(_from_one_up(comparison.ratio))
            apart.append(form.format(ratio=lag, label=labels[name]))

    symbol, size = headline_unit(headline)
    text = (words.measured if equal or alike or unclear else words.apart).format(
        condition=headline.condition,
        best=labels[headline.best],
        figure=f"{figure(headline.figures[headline.best], size).value}{_GLUE}{symbol}".strip(),
    )
    if apart:
        text += listed(apart) + words.close
    if equal:
        text += f"; {listed(equal)} {'equals' if len(equal) == 1 else 'equal'} it"
    if alike:
        text += f"; {listed(alike)} cannot be told apart from it"
    for reason, names in unclear.items():
        text += f"; no verdict on {listed(names)} ({reason})"
    for reason, names in absent.items():
        text += f"; no figure for {listed(names)} ({reason})"
    return f"{text}."


def _alike(quantity: Quantity) -> str:
    spelled = ratio(quantity)
    return f"ratio {spelled.value}" + (f", {spelled.interval}" if spelled.interval else "")


def _from_one_up(quantity: Quantity) -> Quantity:
    """Turn a ratio below 1 round: a share of the best into how far the best is ahead."""
    if quantity.value >= 1:
        return quantity
    interval = quantity.interval
    turned = None if interval is None else (1 / interval[1], 1 / interval[0])
    return Quantity(1 / quantity.value, turned, quantity.blocks, quantity.exact)


def _lag(comparison: Comparison) -> float:
    return _from_one_up(comparison.ratio).value if comparison.ratio else float("inf")


def _caveats(analysis: Analysis) -> Iterator[str]:
    for contender in analysis.shown.values():
        if contender.absence:
            yield f"{contender.label}: {contender.absence} ({contender.reason})."
    yield from (f"{caution}." for caution in analysis.cautions)
    if analysis.missing:
        yield (
            f"The run is not complete: {spell_count(analysis.missing)} of "
            f"{spell_count(analysis.expected)} trials are missing."
        )
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
        if not headline.figures and _measured_anything(analysis):
            yield f"{headline.title} ({headline.condition}) has no figure for any contender."
    if analysis.blocks < BLOCKS_FOR_95:
        share = 100 * coverage(analysis.blocks)
        yield (
            f"{cardinal(analysis.blocks).capitalize()} blocks are too few for 95{_PERCENT} "
            f"intervals: these hold the true median {share:.0f}{_PERCENT} of the time at most. "
            f"Measure {cardinal(BLOCKS_FOR_95)} or more."
            if analysis.blocks > 1
            else "One block gives no intervals, so nothing here can be told apart. "
            f"Measure {cardinal(BLOCKS_FOR_95)} or more."
        )
    elif (looks := len(_looks(analysis))) and analysis.blocks < (needed := blocks_for(looks)):
        yield (
            f"Each difference is stated by itself, at 95{_PERCENT}. That all of them hold at once "
            f"can be shown from {spell_count(needed)} blocks on; this run has {analysis.blocks}."
        )
