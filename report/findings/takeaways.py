"""What a chart shows, in a line above it, written from the data by rules.

What calls one contender better than another is one of the comparisons whose intervals hold all at
once. The rest is counted, or tells from where to where the medians reach, and whose the ends are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.analysis import Analysis, Placement
from raftmark.report.findings.answers import SAME, below, farthest, models, under
from raftmark.report.findings.wording import GLUE, PERCENT, figure, headline_unit, listed
from raftmark.report.model import Comparison, Headline, Outcome, Quantity


def of_loads(analysis: Analysis) -> str:
    """Say who commits the most with one command at a time, and with many, in one program."""
    placement = next(reversed(analysis.placements), None)
    found = [
        (under(headline), leader)
        for key in ("alone", "throughput")
        if placement is not None
        and (headline := _headline(key, placement)) is not None
        and (leader := _leader(headline, placement.names)) is not None
    ]
    if not found:
        return "Nobody is ahead of all others at any load that is compared."
    labels = {name: analysis.contenders[name].label for _, name in found}
    most = "In one program, most" if len(analysis.placements) > 1 else "Most"
    if len({leader for _, leader in found}) == 1:
        conditions = [condition for condition, _ in found]
        return f"{most} is committed by {labels[found[0][1]]}, {listed(conditions)}."
    parts = [f"{condition} by {labels[leader]}" for condition, leader in found]
    return f"{most} is committed {listed(parts)}."


def of_elections(analysis: Analysis) -> str:
    """Say whether it is the model or the timeouts that decide how long an election takes."""
    placement = next(iter(analysis.placements), None)
    headline = None if placement is None else _headline("election", placement)
    if placement is None or headline is None:
        return ""
    where = f"{placement.title}, with" if len(analysis.placements) > 1 else "With"
    most = farthest(headline, models(analysis, placement))
    if most is not None and most[0] <= SAME:
        return (
            f"{where} {headline.condition} the timeouts decide: no model takes {below(most[0])} "
            "times as long as another."
        )
    leader = _leader(headline, placement.names)
    if leader is None:
        return f"{where} {headline.condition} nobody is told apart from all others."
    label = analysis.contenders[leader].label
    return f"{where} {headline.condition}, the elections of {label} are over soonest."


def of_code(analysis: Analysis) -> str:
    """Say whose runtime is shortest."""
    headline = next((h for h in analysis.counted if h.key == "tokens" and h.figures), None)
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


def of_outages(analysis: Analysis, outages: Iterable[tuple[str, Mapping[str, Quantity]]]) -> str:
    """Say how long clients were without service, by timeouts."""
    parts = [
        f"{spread(analysis, found, 'ms', 1e6)} with {title}" for title, found in outages if found
    ]
    return f"Median time without service: {listed(parts)}." if parts else ""


def of_sizes(analysis: Analysis, what: tuple[str, str], one: Cell, other: Cell) -> str:
    """Say what is left of the throughput of one cell in another; `what` names the two."""
    before, after = (analysis.estimates.quantities(cell, THROUGHPUT) for cell in (one, other))
    left = {
        name: Quantity(100 * after[name].value / found.value)
        for name, found in before.items()
        if name in after and name in analysis.shown and found.value
    }
    if not left:
        return ""
    return (
        f"Of the throughput with {what[0]}, {what[1]} leave {spread(analysis, left, '%')}, "
        "by the medians."
    )


def of_times(
    analysis: Analysis, what: str, times: Iterable[tuple[str, Mapping[str, Quantity]]], unit: str
) -> str:
    """Say from where to where the medians of some times reach, each with its name; in ns."""
    size = {"ms": 1e6, "µs": 1e3}[unit]
    parts = [f"{title} {spread(analysis, found, unit, size)}" for title, found in times if found]
    return f"{what}: {listed(parts)}." if parts else ""


def of_forms(compared: Sequence[Comparison]) -> str:
    """Say how often another form is better, or worse, than the contender that it is one of."""
    better, worse = (
        sum(found.outcome is outcome for found in compared)
        for outcome in (Outcome.BETTER, Outcome.WORSE)
    )
    return (
        f"Of {len(compared)} figures {better or 'none'} "
        f"{'is' if better <= 1 else 'are'} better than the base's, and {worse or 'none'} worse; "
        f"each by its own 95{PERCENT} interval."
    )


def spread(
    analysis: Analysis, figures: Mapping[str, Quantity], symbol: str, size: float = 1.0
) -> str:
    """Tell the lowest and the highest of some medians, and whose they are."""
    known = {name: found for name, found in figures.items() if name in analysis.shown}
    ordered = sorted(known, key=lambda name: known[name].value)
    low, high = (figure(known[name], size).value for name in (ordered[0], ordered[-1]))
    first, last = (analysis.contenders[name].brief for name in (ordered[0], ordered[-1]))
    if low == high:
        return f"{low}{GLUE}{symbol}"
    return f"{low} ({first}) to {high}{GLUE}{symbol} ({last})"


def _headline(key: str, placement: Placement) -> Headline | None:
    return next((h for h in placement.headlines if h.kind == key and h.figures), None)


def _leader(headline: Headline, names: Sequence[str]) -> str | None:
    """Return who is told apart from all others and better."""
    best = headline.best(names)
    others = [name for name in names if name != best and name in headline.figures]
    ahead = best is not None and all(
        headline.pairs[best, name].outcome is Outcome.BETTER for name in others
    )
    return best if ahead and others else None
