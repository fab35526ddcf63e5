"""Who takes part: contenders as a run's manifest has them, asked what they are."""

from __future__ import annotations

from raftmark.bench.contenders.registry import ContenderSpec, Unavailable
from raftmark.bench.runs.forms import ContenderEntry


def describe(spec: ContenderSpec) -> ContenderEntry:
    """Build and ask a contender what it is."""
    hello, unavailable = None, None
    try:
        hello = spec.probe()
    except Unavailable as reason:
        unavailable = str(reason)
    return ContenderEntry(
        name=spec.name,
        label=spec.label,
        hello=hello,
        unavailable=unavailable,
        base=spec.base,
        color=spec.color,
        marker=spec.marker,
        env=spec.env,
    )


def gil_is_back(entry: ContenderEntry) -> bool:
    """Whether a free-threaded build runs with the GIL all the same."""
    runtime = entry.hello["runtime"] if entry.hello is not None else {}
    return bool(runtime.get("free_threaded") and runtime.get("gil"))
