"""Are the contenders fast enough to be taken as examples of their models? `raftmark floors`.

Each contender is held against what its users could have instead, PySyncObj and Go's libraries, and
against what its model costs without any Raft: the bare program, and the ping-pong of two parties.
Contenders and baselines take turns in randomised blocks of one run, so the ratios are of the same
machine in the same minutes. Go's libraries are node programs (`peers/`), so they and `go` are held
against each other as deployed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from raftmark.bench.analysis.metrics import CPU_PER_COMMAND
from raftmark.bench.analysis.statistics import Estimate, median_interval, ratio_interval
from raftmark.bench.baselines.programs import BASELINES, DURATION_S, WARMUP_S
from raftmark.bench.baselines.turns import of_trials, samples_of, take_turns
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.design.cells import NATIVE, Cell, deployed
from raftmark.bench.design.specification import Specification, replicate_cell
from raftmark.bench.runs.store import Run

# At least so many times the throughput of PySyncObj at its better setting, by outstanding.
_TIMES_PYSYNCOBJ = {
    256: {"asyncio": 8},
    64: {"threading": 12, "asyncio": 12, "multiprocessing": 10},
    1: {"threading": 5, "asyncio": 5, "multiprocessing": 5},
}
# At least such a share of the bare program's throughput: the same clients, batches and messages
# without Raft. By outstanding.
_SHARES_OF_BARE = {
    64: {
        "go": 0.75,
        "asyncio": 0.5,
        "threading": 0.3,
        "multiprocessing": 0.15,
        "asyncio@mypyc": 0.6,
        "threading@mypyc": 0.5,
    },
    1: {"go": 0.6, "asyncio": 0.4, "threading": 0.4, "multiprocessing": 0.2},
}
_NO_BARE = "its bare program was not measured"
# At least so many times what another library commits in Go for each CPU second, as deployed, at 256
# outstanding.
_TIMES_GO_PEERS = {"etcd": 2, "hashicorp": 2, "hashicorp-tuned": 2}
# At least so many commands/s at 256 outstanding.
_ABSOLUTE = {"go": 1_000_000}
# At most so many times the ping-pong's half round trip for each message of a lone command.
_TIMES_PINGPONG = 3
# A command goes to a follower and back. Where the client is a task or a goroutine of its own, it
# also goes from the client to the leader and back; elsewhere the client is called by the leader.
_MESSAGES = {"threading": 2, "asyncio": 4, "multiprocessing": 2, "go": 4}

CONTENDERS = tuple(dict.fromkeys([*_MESSAGES, *_SHARES_OF_BARE[64], *_TIMES_GO_PEERS]))
"""Who the floors are about: the project's own, their compiled forms, and peers."""


class Floor(NamedTuple):
    """A floor (or, for times, a ceiling) and what was measured.

    `lacks` says why it cannot be measured, where what it is held against is not there.
    """

    what: str
    estimate: Estimate | None
    bound: float
    at_least: bool
    lacks: str = ""

    @property
    def verdict(self) -> str:
        """Whether the whole interval, none of it, or a part of it keeps to the bound."""
        if self.estimate is None:
            return f"not measured: {self.lacks}" if self.lacks else "not measured"
        value, low, high = self.estimate
        ends = [value] if np.isnan(low) else [low, high]
        kept = [end >= self.bound if self.at_least else end <= self.bound for end in ends]
        return "met" if all(kept) else "missed" if not any(kept) else "uncertain"


def specification(blocks: int) -> Specification:
    """Return the cells that the floors are about: three nodes, 64-byte values, memory."""
    cells = [
        replicate_cell(outstanding, warmup_s=WARMUP_S, duration_s=DURATION_S)
        for outstanding in (1, 64, 256)
    ]
    return Specification(blocks=blocks, cells=[*cells, deployed(cells[-1])])


def measure_floors(
    run: Run,
    specs: Mapping[str, ContenderSpec],
    absent: Mapping[str, str],
    say: Callable[[str], None],
) -> list[Floor]:
    """Measure contenders and baselines in turn; what cannot be measured is said and left out.

    `absent` has those of `CONTENDERS` that are not in the run, each with the reason.
    """
    take_turns(run, specs, BASELINES, say)
    return floors_of(run, absent)


def floors_of(run: Run, absent: Mapping[str, str]) -> list[Floor]:
    """Hold every floor against what a run has so far."""
    unable = {e.name: e.unavailable for e in run.manifest.contenders if e.unavailable is not None}
    costs = of_trials(run, lambda name, cell: per_cpu(subject_of(name, cell)), CPU_PER_COMMAND)
    return judge({**samples_of(run, subject_of), **costs}, {**absent, **unable})


def subject_of(name: str, cell: Cell) -> str:
    """Name a contender's commands/s in a cell."""
    return f"{name}-w{cell.workload['outstanding']}" + "-tcp" * (cell.transport != NATIVE)


def per_cpu(subject: str) -> str:
    """Name the CPU seconds that a command takes there."""
    return f"{subject} CPU seconds a command"


def judge(
    samples: Mapping[str, Mapping[int, float]], absent: Mapping[str, str] | None = None
) -> list[Floor]:
    """Hold every floor against the samples: by subject, a value by block.

    The subjects are `NAME-wW` (a contender's commands/s at W outstanding; `NAME-wW-tcp` as
    deployed), `bare-NAME-wW` (those of its bare program), `pysyncobj-SETTING-wW`, `pingpong-NAME`
    (seconds of a round trip), and what `per_cpu` names. `absent` says of contenders why they have
    none.
    """
    known = absent or {}

    def ratio(numerator: str, denominator: str, scale: float = 1.0) -> Estimate | None:
        a, b = samples.get(numerator, {}), samples.get(denominator, {})
        blocks = sorted(a.keys() & b.keys())
        if not blocks:
            return None
        found = ratio_interval([a[n] for n in blocks], [b[n] for n in blocks])
        return Estimate(*(scale * value for value in found))

    floors = []
    for outstanding, bounds in _TIMES_PYSYNCOBJ.items():
        settings = [f"pysyncobj-{s}-w{outstanding}" for s in ("batched", "unbatched")]
        measured = [setting for setting in settings if samples.get(setting)]
        best = max(
            measured, key=lambda s: statistics.median(samples[s].values()), default=settings[0]
        )
        for name, bound in bounds.items():
            subject = f"{name}-w{outstanding}"
            what, lacks = f"{subject} / {best}", known.get(name, "")
            floors.append(Floor(what, ratio(subject, best), bound, True, lacks))
    for outstanding, shares in _SHARES_OF_BARE.items():
        for name, share in shares.items():
            subject = f"{name}-w{outstanding}"
            bare = f"bare-{subject}"
            lacks = known.get(name, "" if samples.get(bare) else _NO_BARE)
            floors.append(Floor(f"{subject} / {bare}", ratio(subject, bare), share, True, lacks))
    for peer, times in _TIMES_GO_PEERS.items():
        ours, theirs = (per_cpu(f"{name}-w256-tcp") for name in ("go", peer))
        floors.append(
            Floor(
                f"go-w256-tcp / {peer}-w256-tcp, for each CPU second",
                ratio(theirs, ours),
                times,
                True,
                known.get("go", known.get(peer, "")),
            )
        )
    for name, bound in _ABSOLUTE.items():
        values = list(samples.get(f"{name}-w256", {}).values())
        estimate = median_interval(values) if values else None
        floors.append(Floor(f"{name}-w256, commands/s", estimate, bound, True, known.get(name, "")))
    for name, messages in _MESSAGES.items():
        # With one outstanding, a command takes the reciprocal of the throughput.
        seconds = {block: 1 / value for block, value in samples.get(f"{name}-w1", {}).items()}
        samples = {**samples, f"{name}-w1-seconds": seconds}
        floors.append(
            Floor(
                f"{name}: a lone command / {messages} messages of its ping-pong",
                ratio(f"{name}-w1-seconds", f"pingpong-{name}", 2 / messages),
                _TIMES_PINGPONG,
                False,
                known.get(name, ""),
            )
        )
    return floors
