"""Who takes part: contenders as a run's manifest has them, asked what they are."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from raftmark.bench.contenders.conformance import recall
from raftmark.bench.contenders.registry import ContenderSpec, Unavailable
from raftmark.bench.design.cells import TCP
from raftmark.bench.design.specification import Specification
from raftmark.bench.runs.forms import ContenderEntry


def describe(spec: ContenderSpec, say: Callable[[str], None]) -> ContenderEntry:
    """Build and ask a contender what it is, and say so: a build may take a while.

    What the conformance suite has found of it is recalled.
    """
    hello, unavailable, examined = None, None, None
    building = spec.build is not None and not spec.build.is_done(spec.directory)
    first = ": building its program, which takes half a minute or so" if building else ""
    say(f"preparing {spec.name}{first}")
    try:
        hello = spec.probe()
        examined = recall(spec)
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
        level=None if examined is None else examined.level,
        transports=spec.transports,
        peer=spec.peer,
    )


def with_their_followers(
    entries: Collection[ContenderEntry], specification: Specification, say: Callable[[str], None]
) -> Specification:
    """Leave out the mixtures whose followers do not take part, or have no node programs."""
    able = {e.name for e in entries if e.unavailable is None and TCP in e.transports}
    kept = [c for c in specification.cells if c.followers is None or c.followers in able]
    absent = [cell for cell in specification.cells if cell not in kept]
    if absent:
        names = ", ".join(dict.fromkeys(str(cell.followers) for cell in absent))
        say(f"{names} cannot follow here: without {len(absent)} cells of mixtures")
    return msgspec.structs.replace(specification, cells=kept)


def gil_is_back(entry: ContenderEntry) -> bool:
    """Whether a free-threaded build runs with the GIL all the same."""
    runtime = entry.hello["runtime"] if entry.hello is not None else {}
    return bool(runtime.get("free_threaded") and runtime.get("gil"))
