"""The A/A pair: one contender runs twice, under two names, and whatever differs is noise.

The twin is the same program as its base, launched by the same command. It takes part in every block
as any contender does, so the ratio of the two tells how large a difference this run shows where
there is none.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from itertools import product
from statistics import median

import msgspec

from raftmark.bench.analysis.metrics import headline
from raftmark.bench.analysis.statistics import noise_floor
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.runs.store import ContenderEntry, Run

_SUFFIX = "~"


def twin_of(entry: ContenderEntry) -> ContenderEntry:
    """Return the entry that runs a contender once more, under the name `NAME~`."""
    return msgspec.structs.replace(
        entry,
        name=entry.name + _SUFFIX,
        label=f"{entry.label} (again)",
        base=entry.name,
        twin=True,
    )


def choose_base(
    entries: Iterable[ContenderEntry], seed: int, name: str | None = None
) -> ContenderEntry | None:
    """Choose the contender that gets a twin: the named one, or one by the run's seed.

    Returns None when it, or all, cannot run.
    """
    able = [e for e in entries if e.unavailable is None and name in (None, e.name)]
    return random.Random(f"{seed}/twin").choice(able) if able else None


def with_twins(
    specs: Mapping[str, ContenderSpec], entries: Iterable[ContenderEntry]
) -> dict[str, ContenderSpec]:
    """Return the specs with those of the twins among a run's entries: their bases' own."""
    entries = list(entries)
    labels = {entry.name: entry.label for entry in entries}
    twins = {
        twin: msgspec.structs.replace(specs[base], name=twin, label=labels[twin])
        for base, twin in pairs(entries)
        if base in specs
    }
    return {**specs, **twins}


def pairs(entries: Iterable[ContenderEntry]) -> list[tuple[str, str]]:
    """Return the A/A pairs of a run by name: base and twin."""
    return [(entry.base, entry.name) for entry in entries if entry.twin and entry.base is not None]


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
