"""What a page says of itself, since it is mailed alone: what was measured, and what was not."""

from __future__ import annotations

from collections.abc import Iterator

from raftmark.bench.contenders.variants import TCP as MIXED
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.wording import PERCENT, cardinal, listed

_UNDER_LOAD = ("replicate", "offered")


def brief(analysis: Analysis) -> str:
    """Say in a line what was measured."""
    # As many ways are not as many models: a control has another contender's.
    ours = [c for c in analysis.shown.values() if c.peer is None]
    ways = len({c.base for c in ours if not c.base.startswith(MIXED)})
    peers = f", beside {cardinal(len(analysis.peers))} of other people's" if analysis.peers else ""
    return (
        f"One consensus algorithm, Raft, written in {cardinal(ways)} "
        f"{'way' if ways == 1 else 'ways'}{peers}; measured in {analysis.measured_over}."
    )


def about(analysis: Analysis) -> str:
    """Say what was measured, for how long, on what, and how that was built."""
    nodes = sorted({cell.cluster["nodes"] for cell in analysis.evidence.cells})
    size = f"Clusters of {listed([str(n) for n in nodes])} nodes" if nodes else "No cluster"
    parts = [
        f"{size}{_duration(analysis)}, on {analysis.machine}{_kind(analysis)}{_load(analysis)}.",
        *_runtimes(analysis),
        *_levels(analysis),
    ]
    return " ".join(parts)


def limits(analysis: Analysis) -> list[str]:
    """Say in plain words what the page does not tell."""
    return list(_limits(analysis))


def _limits(analysis: Analysis) -> Iterator[str]:
    yield (
        "How fast your program would be. This is consensus: small messages between nodes that "
        "wait for each other. What computes, or waits for databases and browsers, spends its time "
        "elsewhere."
    )
    placements = {placement.deployed for placement in analysis.placements}
    if False in placements:
        yield (
            "What a network costs, where nodes are in one program: they hand each other messages "
            "by reference (processes encode theirs), and the clients are where the leader is."
        )
    if True in placements:
        yield "What distance costs: as deployed, all programs ran on one machine, over loopback."
    if without_gc := [c.label for c in analysis.shown.values() if c.collects is False]:
        yield (
            f"What garbage collection costs Python: its cyclic collector is off in "
            f"{listed(without_gc)}, which make no cycles; Go's is on."
        )
    if _no_snapshots(analysis):
        yield (
            "What snapshots cost: none was taken here, so that logs could be checked whole. The "
            "full profile measures the same loads with them (raftmark bench --profile full "
            "--cells 'replicate-w64' --cells '*-snapshots')."
        )
    if not any(c.cluster["storage"] == "disk" for c in analysis.evidence.cells):
        yield "What a disk costs: all logs were in memory, and nothing survived its program."
    yield (
        "How it is on another machine. The intervals have in them what moved from run to run here."
        if len(analysis.runs) > 1
        else "How it is on another machine, or tomorrow. An interval covers this run; from run to "
        "run ratios move farther, and several runs can be pooled (raftmark report RUN RUN …)."
    )
    yield f"Anything to the last digit: of 100 intervals of single figures 5 miss (95{PERCENT})."


def _duration(analysis: Analysis) -> str:
    seconds = [
        float(cell.workload["duration_s"])
        for cell in analysis.evidence.cells
        if cell.workload["name"] in _UNDER_LOAD and "duration_s" in cell.workload
    ]
    if not seconds:
        return ""
    low, high = min(seconds), max(seconds)
    each = f"{low:g} s" if low == high else f"{low:g} to {high:g} s"
    return f", a trial under load {each} long"


def _kind(analysis: Analysis) -> str:
    known = dict(analysis.environment.get("machine", ()))
    virtual = {"yes": ", a virtual machine", "no": ", not virtual"}
    return virtual.get(known.get("virtual", ""), "")


def _load(analysis: Analysis) -> str:
    known = dict(analysis.environment.get("others", ()))
    return f", load {known['load'].partition(',')[0]} before" if "load" in known else ""


def _runtimes(analysis: Analysis) -> Iterator[str]:
    found = list(dict.fromkeys(c.runtime for c in analysis.shown.values() if c.runtime))
    if found:
        yield f"{'; '.join(found)}."


def _levels(analysis: Analysis) -> Iterator[str]:
    """Say who was examined by the conformance suite, if anybody was."""
    examined = [c.label for c in analysis.shown.values() if c.level is not None]
    if examined:
        yield f"Examined by the conformance suite as they are: {listed(examined)}."


def _no_snapshots(analysis: Analysis) -> bool:
    cells = analysis.evidence.cells_of("replicate")
    return bool(cells) and not any(cell.cluster.get("snapshot_entries") for cell in cells)
