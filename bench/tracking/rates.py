"""How often the gate errs, and how soon it sees: `python -m raftmark.bench.tracking.rates RUN`.

RUN is a comparison of a revision with itself, so that its blocks hold nothing but noise, whatever
that was. Gates are simulated by drawing whole blocks from it, with replacement, so that figures go
together as they did; which of the two sides of a pair was which is drawn anew, since it was a coin
that said so; and a change is planted by making HEAD's cost so much higher. Everything from there on
is what the gate does: the same intervals, the same verdicts, the same looks after every block.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from raftmark.bench.analysis.sequential import Array
from raftmark.bench.analysis.verdicts import NEVER
from raftmark.bench.runs.store import Run, StoreError
from raftmark.bench.tracking.compare import log_ratios
from raftmark.bench.tracking.gate import Wish
from raftmark.bench.tracking.plans import METRICS, Compared, Plan

GATES = 1000
BLOCKS = 40
PLANTED = (0.0, 0.02, 0.05, 0.10, 0.20)


def noise(run: Run, plan: Plan) -> dict[Compared, dict[int, float]]:
    """Return the logarithm of each figure's ratio, higher being slower, by block."""
    return {
        figure: {
            block: -ratio if METRICS[figure.metric].higher_is_better else ratio
            for block, ratio in log_ratios(run, plan, figure).items()
        }
        for figure in plan.figures
    }


def blocks_of(differences: dict[Compared, dict[int, float]]) -> list[int]:
    """Return the blocks in which every figure was measured."""
    return sorted(set.intersection(*(set(found) for found in differences.values())))


def draw(
    differences: dict[Compared, dict[int, float]], rng: np.random.Generator
) -> dict[Compared, Array]:
    """Draw `GATES` gates of `BLOCKS` blocks without a difference, for every figure."""
    blocks = blocks_of(differences)
    drawn = rng.choice(len(blocks), size=(GATES, BLOCKS))
    coins: dict[tuple[str, str], Array] = {}
    gates = {}
    for figure, found in differences.items():
        pair = (figure.contender, figure.cell)
        if pair not in coins:
            coins[pair] = rng.choice([-1.0, 1.0], size=(GATES, BLOCKS))
        gates[figure] = coins[pair] * np.array([found[block] for block in blocks])[drawn]
    return gates


def table(run: Run, plan: Plan, scale: float = 1.0, seed: int = 1) -> list[str]:
    """Return the rates as lines of Markdown, with noise that is `scale` times as large.

    Behind each share of gates that told a figure to be slower stands the median block at which
    they did, if half of them did.
    """
    rng = np.random.default_rng(seed)
    differences = {
        figure: {block: scale * ratio for block, ratio in found.items()}
        for figure, found in noise(run, plan).items()
    }
    gates = draw(differences, rng)
    lines = [
        f"{GATES} gates of at most {BLOCKS} blocks, drawn from {len(blocks_of(differences))}; "
        f"{len(plan.figures)} figures, margin {plan.margin:.0%}, error {plan.error:.0%}.",
        "",
        "| figure | noise | " + " | ".join(f"+{100 * planted:g} %" for planted in PLANTED) + " |",
        "|---|---:|" + "---:|" * len(PLANTED),
    ]
    wolf = np.zeros(GATES, dtype=bool)
    for figure in plan.figures:
        outcomes = [
            plan.rule.first_told(gates[figure] + math.log1p(planted)) for planted in PLANTED
        ]
        wolf |= outcomes[0].slower < NEVER
        size = float(np.median(np.abs(list(differences[figure].values()))))
        cells = [_spell(outcome.slower) for outcome in outcomes]
        lines.append(
            f"| {plan.labels[figure.contender]}, {METRICS[figure.metric].title} in {figure.cell} "
            f"| {100 * math.expm1(size):.1f} % | " + " | ".join(cells) + " |"
        )
    lines += ["", f"Gates that cried wolf about any figure: {wolf.mean():.1%}."]
    return lines


def _spell(slower: NDArray[np.int64]) -> str:
    share = float((slower < NEVER).mean())
    if share < 0.5:
        return f"{share:.1%}"
    return f"{share:.1%} ({int(np.median(slower))})"


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
            print("\n".join(table(run, plan, arguments.scale)), end="\n\n")
    except StoreError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
