"""What a history sees, and how often it errs: `python -m raftmark.bench.studies.lasting`.

Histories are simulated, from a seed: figures that scatter from run to run by so much (a standard
deviation of their logarithms, with the tails of Student's t of 4 degrees), 10 runs before a lasting
change and 10 since, or none at all. From there on it is what the history does.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np

from raftmark.bench.analysis.changepoints import FEWEST, change_points
from raftmark.bench.tracking.series import ERROR

RUNS = 20
SERIES = 20
"""Four contenders have so many figures in a comparison."""
SPREADS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.10, 0.20)
PLANTED = (0.05, 0.10, 0.20)
_TAIL = 4.0


def draw(rng: np.random.Generator, spread: float, planted: float, runs: int = RUNS) -> list[float]:
    """Return the logarithms of a figure that is lower by `planted` in the second half."""
    noise = spread * rng.standard_t(_TAIL, runs) / math.sqrt(_TAIL / (_TAIL - 2))
    noise[runs // 2 :] += math.log1p(-planted)
    return [float(value) for value in noise]


def found(seed: int, spread: float, planted: float, histories: int, series: int = SERIES) -> float:
    """Return in which share of histories the change of one of their series is found.

    It is where it was planted, or next to it.
    """
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(histories):
        cuts = change_points(draw(rng, spread, planted), ERROR / series)
        hits += any(abs(cut - RUNS // 2) <= 1 for cut in cuts)
    return hits / histories


def cried(seed: int, histories: int, looks: range, series: int = SERIES) -> float:
    """Return in which share of histories without a change some series is ever said to have one.

    Looked at after each of so many runs (`looks`).
    """
    rng = np.random.default_rng(seed)
    wolves = 0
    for _ in range(histories):
        drawn = [draw(rng, 0.02, 0.0, looks[-1]) for _ in range(series)]
        wolves += any(
            change_points(values[:runs], ERROR / series) for runs in looks for values in drawn
        )
    return wolves / histories


def tables(seed: int, histories: int) -> Iterator[str]:
    """Yield both tables, in Markdown."""
    yield "| scatters from run to run by | " + " | ".join(f"{p:.0%} lower" for p in PLANTED) + " |"
    yield "|---:|" + "---:|" * len(PLANTED)
    for spread in SPREADS:
        shares = [f"{found(seed, spread, planted, histories):.0%}" for planted in PLANTED]
        yield f"| {spread:.1%} | " + " | ".join(shares) + " |"
    yield ""
    yield "| histories without a change | cry wolf |"
    yield "|---|---:|"
    once = cried(seed, histories, range(RUNS, RUNS + 1))
    yield f"| looked at once, after {RUNS} runs | {once:.1%} |"
    each = cried(seed, histories, range(2 * FEWEST, 2 * RUNS + 1))
    yield f"| looked at after each of {2 * RUNS} runs | {each:.1%} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m raftmark.bench.studies.lasting")
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for line in tables(asked.seed, asked.histories):
        print(line.replace("%", " %"), flush=True)


if __name__ == "__main__":
    main()
