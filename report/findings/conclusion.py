"""The report's sentences on each figure, written from the data by rules.

Each headline gives one sentence for each placement: who did best, with the figure, and how each of
the others compares with it. What is said of another follows from its paired ratio to the best:

- its interval excludes 1: the ratio is stated, with the interval;
- its interval contains 1: the two cannot be told apart, and the sentence says so;
- there is no interval, because they have few blocks in common or none: no verdict, and why;
- it has no figure: it is named, with the reason. Nothing is filled in.

The intervals hold all together, of all pairs and headlines, so that whoever happens to be best may
be called so. Code is counted, not measured, so its ratios are exact and have no interval.
"""

from __future__ import annotations

from dataclasses import dataclass

from raftmark.report.findings.analysis import Analysis, Placement
from raftmark.report.findings.headlines import comparisons
from raftmark.report.findings.numbers import spell_count
from raftmark.report.findings.wording import (
    GLUE,
    PERCENT,
    figure,
    from_one_up,
    headline_unit,
    listed,
    ratio,
)
from raftmark.report.model import Claim, Comparison, Headline, Outcome, Quantity, Sentence


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


_THROUGHPUT = _Words(
    "With {condition}, {best} committed the most, {figure}",
    "With {condition}, the highest throughput measured is that of {best}, {figure}",
    ": {ratio} times {label}",
    further="{ratio} times {label}",
)
_WORDS = {
    "alone": _THROUGHPUT,
    "throughput": _THROUGHPUT,
    "disk": _THROUGHPUT,
    "tail": _Words(
        "With {condition}, {best} had the shortest tail, 99 of 100 commands within {figure}",
        "With {condition}, the shortest p99 latency measured is that of {best}, {figure}",
        "; {label} took {ratio}",
        close=" times as long",
    ),
    "voting": _Words(
        "With {condition}, {best} went from candidacy to leader soonest, in {figure} at the median",
        "With {condition}, the shortest time measured from candidacy to leader is that of {best}, "
        "{figure}",
        "; {label} took {ratio}",
        close=" times as long",
    ),
    "election": _Words(
        "With {condition}, {best} had a new leader soonest, {figure} after the crash at the median",
        "With {condition}, the shortest median election measured is that of {best}, {figure}",
        "; {label} took {ratio}",
        close=" times as long",
    ),
    "cpu": _Words(
        "With {condition}, {best} used the least CPU time per command, {figure}",
        "With {condition}, the least CPU time measured per command is that of {best}, {figure}",
        "; {label} used {ratio}",
        close=" times as much",
    ),
    "memory": _Words(
        "With {condition}, {best} used the least memory per log entry, {figure}",
        "With {condition}, the least memory measured per log entry is that of {best}, {figure}",
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


def findings(analysis: Analysis) -> list[Sentence]:
    """Say how the contenders compare, a sentence for each headline and placement."""
    measured = [
        _sentence(headline, analysis, placement)
        for placement in analysis.placements
        for headline in placement.headlines
        if headline.best(placement.names) is not None
    ]
    everybody = Placement(False, list(analysis.shown), analysis.counted)
    counted = [_sentence(h, analysis, everybody) for h in analysis.counted if h.figures]
    return [*measured, *counted]


def rule(analysis: Analysis) -> str:
    """Say when a difference is called one, as it ends a sentence that begins so."""
    many = comparisons(analysis.headlines)
    noisy = any(headline.noise for headline in analysis.headlines)
    beyond = ", and its median lies beyond the noise floor" if noisy else ""
    return (
        f"the ratio's interval excludes 1{beyond}. The intervals of all {spell_count(many)} "
        f"measured comparisons hold together, with 95{PERCENT} for all of them at once"
    )


def _sentence(headline: Headline, analysis: Analysis, placement: Placement) -> Sentence:
    best = headline.best(placement.names)
    assert best is not None, "a headline with figures has a best one"
    labels = {name: contender.label for name, contender in analysis.contenders.items()}
    words = _WORDS[headline.kind]
    claims: list[Claim] = []
    apart: list[str] = []
    equal: list[str] = []
    alike: list[str] = []
    unclear: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    others = {n: c for n, c in headline.against(best).items() if n in placement.names}
    for name, comparison in sorted(others.items(), key=lambda item: _lag(item[1])):
        if name not in headline.figures:
            absent.setdefault(str(comparison.reason), []).append(labels[name])
        elif comparison.ratio is None or comparison.outcome is Outcome.UNKNOWN:
            unclear.setdefault(str(comparison.reason), []).append(labels[name])
        elif comparison.outcome is Outcome.ALIKE and comparison.ratio.exact:
            equal.append(labels[name])
        else:
            claims.append(Claim(headline.key, name, best, comparison.ratio))
            if comparison.outcome is Outcome.ALIKE:
                alike.append(f"{labels[name]} ({_alike(comparison.ratio)})")
                continue
            form = words.further if apart else words.next
            lag = ratio(from_one_up(comparison.ratio))
            apart.append(form.format(ratio=lag, label=labels[name]))

    symbol, size = headline_unit(headline)
    text = (words.measured if equal or alike or unclear else words.apart).format(
        condition=headline.condition,
        best=labels[best],
        figure=f"{figure(headline.figures[best], size).value}{GLUE}{symbol}".strip(),
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
    if len(analysis.placements) > 1 and not headline.counted:
        text = f"{placement.title}: {text[0].lower()}{text[1:]}"
    return Sentence(f"{text}.", tuple(claims))


def _alike(quantity: Quantity) -> str:
    spelled = ratio(quantity)
    return f"ratio {spelled.value}" + (f", {spelled.interval}" if spelled.interval else "")


def _lag(comparison: Comparison) -> float:
    return from_one_up(comparison.ratio).value if comparison.ratio else float("inf")
