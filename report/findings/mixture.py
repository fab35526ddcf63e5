"""What rewriting a part of a cluster gives: one language leads, and another one follows.

Each cell of mixtures has one contender's programs as its followers, and every contender leads it
once a block. So a cluster that is all one contender's is compared, block by block, with the one in
which only its leader, only its followers, or all of it is Go's. A gain is how many times as much is
committed then; all gains of a run hold together at 95 %, and one that is no further from 1 than the
noise floor is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.comparison import above, compare
from raftmark.report.findings.headlines import noise_of
from raftmark.report.findings.wording import factor, outstanding
from raftmark.report.model import Comparison, Floor, Outcome, Quantity, Samples

GO = "go"


class Part(Enum):
    """What of a cluster is rewritten."""

    LEADER = "only the leader"
    FOLLOWERS = "only the followers"
    ALL = "all of it"


class Rewrite(NamedTuple):
    """What a contender's cluster gains when a part of it is Go's."""

    contender: str
    part: Part
    gain: Comparison


@dataclass(frozen=True, slots=True)
class Mixtures:
    """All mixtures under one load: commands a second, by leader and followers."""

    condition: str
    leaders: tuple[str, ...]
    followers: tuple[str, ...]
    figures: Mapping[tuple[str, str], Quantity]
    rewrites: tuple[Rewrite, ...]


def mixtures(analysis: Analysis) -> list[Mixtures]:
    """Return what was measured of mixtures, by load."""
    loads: dict[int, list[Cell]] = {}
    for cell in analysis.evidence.mixtures:
        if cell.followers not in analysis.shown:
            continue
        loads.setdefault(int(cell.workload["outstanding"]), []).append(cell)
    wanted = {load: list(_wanted(analysis, cells)) for load, cells in loads.items()}
    among = sum(map(len, wanted.values()))
    found = [_mixtures(analysis, loads[load], wanted[load], among) for load in sorted(loads)]
    return [each for each in found if each.figures]


def sentences(analysis: Analysis, found: list[Mixtures]) -> list[str]:
    """Say what rewriting a part would give, by rule: nothing is said that no interval supports."""
    return [
        sentence
        for each in found
        for name in dict.fromkeys(rewrite.contender for rewrite in each.rewrites)
        for sentence in _sentence(analysis, each, name)
    ]


def _sentence(analysis: Analysis, found: Mixtures, name: str) -> Iterator[str]:
    gains = {r.part: r.gain for r in found.rewrites if r.contender == name}
    # Without one of its figures no part of a cluster is compared with the whole.
    if any(gain.ratio is None for gain in gains.values()):
        return
    leader, *others = (
        f"{part.value}{' in Go' * (part is Part.LEADER)} {_said(gain)}"
        for part, gain in gains.items()
    )
    label = analysis.contenders[name].label
    said = f"rewriting {'; '.join([leader, *others])}"
    yield f"{label} as deployed, with {found.condition}: {said}."


def _said(gain: Comparison) -> str:
    assert gain.ratio is not None
    spelled = factor(gain.ratio)
    interval = f" ({spelled.interval})" if spelled.interval else ""
    times = f"{spelled.value}{interval}"
    match gain.outcome:
        case Outcome.BETTER:
            return f"would give {times} times as much"
        case Outcome.WORSE:
            return f"would leave 1/{times} of it"
        case Outcome.ALIKE:
            return "makes no difference that this run can tell"
        case _:
            return f"is not known ({gain.reason})"


def _mixtures(
    analysis: Analysis,
    cells: list[Cell],
    wanted: list[tuple[str, Part]],
    among: int,
) -> Mixtures:
    shown = analysis.shown
    figures = {
        (leader, str(cell.followers)): quantity
        for cell in cells
        for leader, quantity in analysis.estimates.quantities(cell, THROUGHPUT).items()
        if leader in shown
    }
    samples = {str(c.followers): analysis.evidence.samples(c, THROUGHPUT) for c in cells}
    noise = _noise(analysis, samples)
    rewrites = [
        Rewrite(name, part, above(noise, _gain(samples, name, part, among)))
        for name, part in wanted
    ]
    return Mixtures(
        condition=outstanding(int(cells[0].workload["outstanding"])),
        leaders=tuple(name for name in shown if any(leader == name for leader, _ in figures)),
        followers=tuple(str(cell.followers) for cell in cells),
        figures=figures,
        rewrites=tuple(rewrites),
    )


def _wanted(analysis: Analysis, cells: list[Cell]) -> Iterator[tuple[str, Part]]:
    """Yield what is compared: for each that follows itself, each part of its cluster."""
    followers = {cell.followers for cell in cells}
    if GO in followers and GO in analysis.shown:
        for name in analysis.shown:
            if name in followers and name != GO:
                yield from ((name, part) for part in Part)


def _gain(samples: Mapping[str, Samples], name: str, part: Part, among: int) -> Comparison:
    leader = name if part is Part.FOLLOWERS else GO
    followers = name if part is Part.LEADER else GO
    whole = samples[name][name]
    return compare(samples[followers][leader], whole, higher_is_better=True, among=among)


def _noise(analysis: Analysis, samples: Mapping[str, Samples]) -> Floor | None:
    """Return the farthest that a twin is from whom it is, whoever follows."""
    twins = {name: one.base for name, one in analysis.contenders.items() if one.twin}
    floors = [noise_of(each, twins, higher_is_better=True) for each in samples.values()]
    return max((f for f in floors if f is not None), key=lambda f: f.factor, default=None)
