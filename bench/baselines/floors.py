"""Are the contenders fast enough to be taken as examples of their models? `raftmark floors`.

Each contender is held against what its users could have instead, PySyncObj, and against what its
model costs without any Raft: the ping-pong of two parties. Contenders and baselines take turns in
randomised blocks of one run, so the ratios are of the same machine in the same minutes.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyperf

from raftmark.bench.analysis.statistics import Estimate, median_interval, ratio_interval
from raftmark.bench.baselines.bare import MODELS
from raftmark.bench.baselines.turns import (
    Baseline,
    BaselineFailed,
    output_of,
    pysyncobj,
    samples_of,
    take_turns,
)
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import ContenderSpec
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
        "asyncio@mypyc": 0.6,
        "threading@mypyc": 0.5,
    },
    1: {"go": 0.6, "asyncio": 0.4, "threading": 0.4},
}
_NO_BARE = "its bare program was not measured"
_LOADS_OF_BARE = (1, 64)
# At least so many times what another library commits in Go for each CPU second, at 256 outstanding.
_TIMES_GO_PEERS = {"etcd, tuned": 2}
_NO_PEER = "it is no contender yet"
# At least so many commands/s at 256 outstanding.
_ABSOLUTE = {"go": 1_000_000}
# At most so many times the ping-pong's half round trip for each message of a lone command.
_TIMES_PINGPONG = 3
# A command goes to a follower and back. Where the client is a task or a goroutine of its own, it
# also goes from the client to the leader and back; elsewhere the client is called by the leader.
_MESSAGES = {"threading": 2, "asyncio": 4, "multiprocessing": 2, "go": 4}

_WARMUP_S, _DURATION_S = 0.3, 1.0


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
    return Specification(
        blocks=blocks,
        cells=[
            replicate_cell(outstanding, warmup_s=_WARMUP_S, duration_s=_DURATION_S)
            for outstanding in (1, 64, 256)
        ],
    )


def measure_floors(
    run: Run, specs: Mapping[str, ContenderSpec], say: Callable[[str], None]
) -> list[Floor]:
    """Measure contenders and baselines in turn; what cannot be measured is said and left out."""
    take_turns(run, specs, BASELINES, say)
    return judge(samples_of(run, lambda name, _storage, outstanding: f"{name}-w{outstanding}"))


def judge(samples: Mapping[str, Mapping[int, float]]) -> list[Floor]:
    """Hold every floor against the samples: by subject, a value by block.

    The subjects are `NAME-wW` (a contender's commands/s at W outstanding), `bare-NAME-wW` (those of
    its bare program), `pysyncobj-SETTING-wW` and `pingpong-NAME` (seconds of a round trip).
    """

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
            floors.append(Floor(f"{subject} / {best}", ratio(subject, best), bound, True))
    for outstanding, shares in _SHARES_OF_BARE.items():
        for name, share in shares.items():
            subject = f"{name}-w{outstanding}"
            bare = f"bare-{subject}"
            lacks = "" if samples.get(bare) else _NO_BARE
            floors.append(Floor(f"{subject} / {bare}", ratio(subject, bare), share, True, lacks))
    for peer, times in _TIMES_GO_PEERS.items():
        what = f"go-w256 / {peer}, for each CPU second"
        floors.append(Floor(what, None, times, True, _NO_PEER))
    for name, bound in _ABSOLUTE.items():
        values = list(samples.get(f"{name}-w256", {}).values())
        estimate = median_interval(values) if values else None
        floors.append(Floor(f"{name}-w256, commands/s", estimate, bound, True))
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
            )
        )
    return floors


def _python_pingpong() -> dict[str, float]:
    """Run one worker process of the pyperf script, and take the median of its values."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "pingpong.json"
        script = [sys.executable, "-m", "raftmark.bench.baselines.pingpong"]
        output_of([*script, "--processes", "1", "--quiet", "--output", str(output)])
        suite = pyperf.BenchmarkSuite.load(str(output))
    return {f"pingpong-{b.get_name()}": b.median() for b in suite.get_benchmarks()}


def _go_pingpong() -> dict[str, float]:
    """Run Go's benchmark, whose operation is a round trip over channels."""
    return {"pingpong-go": _go_benchmark("BenchmarkPingPong")}


def _go_bare(outstanding: int) -> Baseline:
    """Go's bare program; an operation is a command."""

    def measure() -> dict[str, float]:
        seconds = _go_benchmark("BenchmarkBare", f"w{outstanding}")
        return {f"bare-go-w{outstanding}": 1 / seconds}

    return measure


def _go_benchmark(*names: str) -> float:
    """Run a benchmark of Go's; the seconds of an operation."""
    go = str(Path(sys.executable).with_name("go"))
    pattern, name = "/".join(f"^{name}$" for name in names), "/".join(names)
    command = [go, "test", "-bench", pattern, "-run", "^$", "."]
    printed = output_of(command, ROOT / "go_reference")
    found = re.search(rf"^{name}(?:-\d+)?\s+\d+\s+([\d.]+) ns/op", printed, re.MULTILINE)
    if found is None:
        raise BaselineFailed(f"no {name} in go_reference:\n{printed.strip()}")
    return float(found[1]) / 1e9


def _python_bare(model: str, outstanding: int) -> Baseline:
    """A model's bare program; a form of the contender, whose core is compiled, has the same."""

    def measure() -> dict[str, float]:
        script = [sys.executable, "-m", "raftmark.bench.baselines.bare", model]
        load = ["--outstanding", str(outstanding), "--warmup", str(_WARMUP_S)]
        printed = json.loads(output_of([*script, *load, "--duration", str(_DURATION_S)]))
        reached = printed["commands"] / printed["seconds"]
        return {f"bare-{name}-w{outstanding}": reached for name in (model, f"{model}@mypyc")}

    return measure


BASELINES: dict[str, Baseline] = {
    **{
        f"pysyncobj-{setting}-w{outstanding}": pysyncobj(
            setting, outstanding, _WARMUP_S, _DURATION_S
        )
        for setting, outstanding in (
            *(("batched", 1), ("unbatched", 1)),
            *(("batched", 64), ("unbatched", 64)),
            ("batched", 256),
        )
    },
    **{
        f"bare-{model}-w{outstanding}": _python_bare(model, outstanding)
        for model in MODELS
        for outstanding in _LOADS_OF_BARE
    },
    **{f"bare-go-w{outstanding}": _go_bare(outstanding) for outstanding in _LOADS_OF_BARE},
    "pingpong": _python_pingpong,
    "pingpong-go": _go_pingpong,
}
