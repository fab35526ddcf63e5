"""How often the gate errs, and how soon it sees: `python -m raftmark.bench.tracking.rates RUN`.

RUN is a comparison of a revision with itself, so that its pairs hold nothing but noise, whatever
that was. Gates are simulated by drawing pairs of trials from it, with replacement, so that what was
measured in one pair goes together as it did; which of the two sides of a pair was which is drawn
anew, since it was a coin that said so; and a change is planted by making HEAD's cost so much
higher. Everything from there on is what the gate does: the same intervals, the same verdicts, the
same looks after every pair.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Hashable, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from raftmark.bench.analysis.sequential import Array
from raftmark.bench.analysis.verdicts import NEVER, Rule
from raftmark.bench.runs.store import Run, StoreError
from raftmark.bench.tracking.compare import differences_of
from raftmark.bench.tracking.differences import Difference
from raftmark.bench.tracking.gate import Wish
from raftmark.bench.tracking.plans import METRICS, Compared, Plan

GATES = 1000
PAIRS = 40
PLANTED = (0.0, 0.02, 0.05, 0.10, 0.20)

Noise = Mapping[Compared, Mapping[Hashable, Difference]]
"""How HEAD's cost differs from BASE's in each figure, by the pair of trials that showed it."""


def draw(found: Noise, rng: np.random.Generator) -> dict[Compared, tuple[Array, Array]]:
    """Draw `GATES` gates of `PAIRS` pairs without a difference, for every figure that has pairs.

    Returns the typical differences and those of the whole. Figures of one contender in one cell are
    of the same pairs, and are drawn together.
    """
    cells: dict[tuple[str, str], list[Compared]] = defaultdict(list)
    for figure in found:
        cells[figure.contender, figure.cell].append(figure)
    gates = {}
    for figures in cells.values():
        pairs = [pair for pair in found[figures[0]] if all(pair in found[f] for f in figures)]
        if not pairs:
            continue
        drawn = rng.choice(len(pairs), size=(GATES, PAIRS))
        coins = rng.choice([-1.0, 1.0], size=(GATES, PAIRS))
        for figure in figures:
            its = np.array([found[figure][pair] for pair in pairs])[drawn]
            gates[figure] = (coins * its[..., 0], coins * its[..., 1])
    return gates


def table(found: Noise, rule: Rule, labels: Mapping[str, str], seed: int = 1) -> list[str]:
    """Return the rates as lines of Markdown; `labels` are the contenders'.

    Behind each share of gates that told a figure to be slower stands the median pair at which they
    did, if half of them did.
    """
    gates = draw(found, np.random.default_rng(seed))
    lines = [
        "| figure | pairs | noise | "
        + " | ".join(f"+{100 * planted:g} %" for planted in PLANTED)
        + " |",
        "|---|---:|---:|" + "---:|" * len(PLANTED),
    ]
    wolf = np.zeros(GATES, dtype=bool)
    for figure, (typical, whole) in gates.items():
        outcomes = [
            rule.first_told(typical + cost, whole + cost) for cost in map(math.log1p, PLANTED)
        ]
        wolf |= outcomes[0].slower < NEVER
        differences = [difference.typical for difference in found[figure].values()]
        size = math.expm1(float(np.median(np.abs(differences))))
        cells = [_spell(outcome.slower) for outcome in outcomes]
        lines.append(
            f"| {labels[figure.contender]}, {METRICS[figure.metric].title} in {figure.cell} "
            f"| {len(differences)} | {100 * size:.1f} % | " + " | ".join(cells) + " |"
        )
    return [
        *lines,
        "",
        f"{GATES} gates of at most {PAIRS} pairs drawn, {len(gates)} figures, margin "
        f"{100 * rule.margin:g} %: {100 * wolf.mean():.1f} % cried wolf about any figure.",
    ]


def _spell(slower: NDArray[np.int64]) -> str:
    share = float((slower < NEVER).mean())
    if share < 0.5:
        return f"{100 * share:.1f} %"
    return f"{100 * share:.1f} % ({int(np.median(slower))})"


def main() -> None:
    """Print the rates with the noise of each run named."""
    parser = argparse.ArgumentParser(
        prog="python -m raftmark.bench.tracking.rates", description=__doc__
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="how many times as large the noise is to be"
    )
    arguments = parser.parse_args()
    try:
        for path in arguments.runs:
            run = Run.open(path)
            plan = Plan.of(run)
            if plan is None:
                raise StoreError(f"{path} is no comparison: `raftmark compare HEAD HEAD` makes one")
            # A run that is to hold noise alone is best recorded with a margin that nothing meets.
            plan = msgspec.structs.replace(plan, margin=Wish().margin)
            found: Noise = {
                figure: {
                    pair: Difference(*(arguments.scale * each for each in difference))
                    for pair, difference in pairs.items()
                }
                for figure, pairs in differences_of(run, plan).items()
            }
            print("\n".join(table(found, plan.rule, plan.labels)), end="\n\n")
    except StoreError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
