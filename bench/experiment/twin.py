"""The A/A pair: one contender runs twice, under two names, and whatever differs is noise.

The twin is the same program as its base, launched by the same command. It takes part in every block
as any contender does, so the ratio of the two tells how large a difference this run shows where
there is none. Contenders get the same seed in a block, and with it the same election timeouts; the
twin gets another one (`Planned.cluster_seed`), or the pair would share what varies from run to run.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import msgspec

from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.runs.forms import ContenderEntry, pairs

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
