"""What the A/A pair of a run says: how large a difference is where there is none."""

from __future__ import annotations

from itertools import product
from statistics import median

from raftmark.bench.analysis.metrics import headline
from raftmark.bench.analysis.statistics import noise_floor
from raftmark.bench.runs.forms import pairs
from raftmark.bench.runs.store import Run


def noise_floors(run: Run) -> dict[str, float]:
    """Return the noise floor of each cell's headline, by the run's A/A pair; see `noise_floor`.

    Cells in which the pair has no two blocks in common, or no positive figures, have none.
    """
    floors: dict[str, float] = {}
    for (base, twin), cell in product(
        pairs(run.manifest.contenders), run.manifest.specification.cells
    ):
        found = {
            name: {
                trial.block: value
                for trial in run.trials
                if (trial.cell, trial.contender) == (cell.id, name)
                and (value := headline(cell, trial)) is not None
            }
            for name in (base, twin)
        }
        common = [b for b, value in found[base].items() if value > 0 and found[twin].get(b, 0) > 0]
        if len(common) > 1:
            floors[cell.id] = noise_floor(
                *([found[name][b] for b in common] for name in (base, twin))
            )
    return floors


def say_noise(run: Run) -> str:
    """Say in a line how large differences are where there are none; empty without a pair."""
    floors = sorted((floor, cell) for cell, floor in noise_floors(run).items())
    if not floors:
        return ""
    (base, twin), *_ = pairs(run.manifest.contenders)
    (worst, where), middle = floors[-1], median(floor for floor, _ in floors)
    return (
        f"noise floor by {base} and {twin}, which are the same: differences up to {middle:.1%} "
        f"(median of the cells), {worst:.1%} at most ({where})"
    )
