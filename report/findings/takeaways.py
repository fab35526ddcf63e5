"""What a chart shows, in a line above it, written from the data by rules.

What compares contenders is one of the comparisons whose intervals hold all at once; the rest is
counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import SAME, below, farthest
from raftmark.report.findings.wording import figure, headline_unit, listed
from raftmark.report.model import Headline, Outcome


def of_loads(analysis: Analysis) -> str:
    """Say who commits the most with one command at a time, and with many."""
    found = [
        (headline.condition, leader)
        for key in ("alone", "throughput")
        if (headline := _headline(analysis, key)) is not None
        and (leader := _leader(headline, _first(analysis))) is not None
    ]
    if not found:
        return "Nobody is ahead of all others at any load that is compared."
    labels = {name: analysis.contenders[name].label for _, name in found}
    if len({leader for _, leader in found}) == 1:
        conditions = [condition for condition, _ in found]
        return f"{labels[found[0][1]]} commits the most, with {listed(conditions)}."
    parts = [f"{labels[leader]} with {condition}" for condition, leader in found]
    return f"Who commits the most: {listed(parts)}."


def of_elections(analysis: Analysis) -> str:
    """Say whether it is the model or the timeouts that decide how long an election takes."""
    headline = _headline(analysis, "election")
    if headline is None:
        return ""
    names = _first(analysis)
    most = farthest(headline, names)
    if most is not None and most[0] <= SAME:
        return (
            f"With {headline.condition} the timeouts decide: no model takes {below(most[0])} times "
            "as long as another."
        )
    leader = _leader(headline, names)
    if leader is None:
        return f"With {headline.condition} nobody is told apart from all others."
    return f"With {headline.condition}, {analysis.contenders[leader].label} is over soonest."


def of_code(analysis: Analysis) -> str:
    """Say whose runtime is shortest."""
    headline = _headline(analysis, "tokens")
    best = None if headline is None else headline.best(headline.figures)
    if headline is None or best is None:
        return ""
    size = figure(headline.figures[best], headline_unit(headline)[1]).value
    return f"The shortest runtime is that of {analysis.contenders[best].label}: {size} tokens."


def of_rates(analysis: Analysis, held: dict[str, float], rates: Sequence[float]) -> str:
    """Say which rates were held: in no trial given up."""
    highest = max(rates)
    all_held = [name for name, rate in held.items() if rate >= highest]
    if len(all_held) == len(held):
        return f"All hold {highest:,.0f} commands/s."
    parts = [f"{analysis.contenders[name].label} {rate:,.0f}" for name, rate in held.items()]
    return f"The highest rate that no trial gave up, in commands/s: {listed(parts)}."


def _first(analysis: Analysis) -> Sequence[str]:
    return analysis.placements[0].names if analysis.placements else ()


def _headline(analysis: Analysis, key: str) -> Headline | None:
    if not analysis.placements:
        return None
    known = (*analysis.placements[0].headlines, *analysis.counted)
    return next((h for h in known if h.kind == key and h.figures), None)


def _leader(headline: Headline, names: Sequence[str]) -> str | None:
    """Return who is told apart from all others and better."""
    best = headline.best(names)
    others = [name for name in names if name != best and name in headline.figures]
    ahead = best is not None and all(
        headline.pairs[best, name].outcome is Outcome.BETTER for name in others
    )
    return best if ahead and others else None
