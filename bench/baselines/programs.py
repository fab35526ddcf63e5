"""The baselines of the floors, each a program of its own: PySyncObj, ping-pongs, bare programs."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

import pyperf

from raftmark.bench.baselines.bare import MODELS
from raftmark.bench.baselines.turns import Baseline, BaselineFailed, output_of, pysyncobj
from raftmark.bench.contenders.places import ROOT

WARMUP_S, DURATION_S = 0.3, 1.0
"""How long each load runs before it is measured, and while it is."""

_LOADS_OF_BARE = (1, 64)


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
        load = ["--outstanding", str(outstanding), "--warmup", str(WARMUP_S)]
        printed = json.loads(output_of([*script, *load, "--duration", str(DURATION_S)]))
        reached = printed["commands"] / printed["seconds"]
        return {f"bare-{name}-w{outstanding}": reached for name in (model, f"{model}@mypyc")}

    return measure


BASELINES: dict[str, Baseline] = {
    **{
        f"pysyncobj-{setting}-w{outstanding}": pysyncobj(setting, outstanding, WARMUP_S, DURATION_S)
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
