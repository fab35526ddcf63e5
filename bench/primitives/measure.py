"""Measuring primitives: case after case in random order, each kept as soon as it ends."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyperf

from raftmark.bench.primitives.bare import (
    GO_DIRECTORY,
    GoModel,
    ProgramFailed,
    PythonModel,
    output_of,
)
from raftmark.bench.runs.readings import CASES, RAW, Case, Reading, append, load
from raftmark.bench.runs.store import Run, explained, now

_TIMEOUT_S = 120.0
_GO_NAMES = {
    "spawn_join": "SpawnJoin",
    "one_way": "OneWay",
    "ping_pong": "PingPong",
    "majority": "Majority",
    "lock_hand_over": "LockHandOver",
    "timer_lateness": "TimerLateness",
}
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3}


class Effort(NamedTuple):
    """How often everything is measured, for how long at least, and how many timers each time."""

    blocks: int
    min_time_s: float
    timers: int


FULL = Effort(blocks=10, min_time_s=0.1, timers=100)
QUICK = Effort(blocks=3, min_time_s=0.02, timers=30)


class Found(NamedTuple):
    """What a process found; the fields are those of a `Reading`."""

    seconds: float
    p99_s: float | None
    means: str
    loops: int


class Planned(NamedTuple):
    """A reading to be taken."""

    block: int
    order: int
    model: PythonModel | GoModel
    case: Case

    @property
    def key(self) -> tuple[int, str, str, str]:
        """As `Reading.key`."""
        return self.block, self.model.contender, self.case.primitive, self.case.name


def planned(models: Sequence[PythonModel | GoModel], blocks: int, seed: int) -> list[Planned]:
    """Return every reading of some blocks: all cases of all models in each, in random order."""
    readings = []
    for block in range(blocks):
        pairs = [(model, case) for model in models for case in CASES]
        random.Random(f"{seed}/primitives/{block}").shuffle(pairs)
        readings += [Planned(block, order, *pair) for order, pair in enumerate(pairs)]
    return readings


def measure_primitives(
    run: Run,
    models: Sequence[PythonModel | GoModel],
    effort: Effort,
    say: Callable[[str], None],
) -> None:
    """Take the readings that a run still lacks. One that fails is kept with its reason.

    Raises `StoreError` when a reading cannot be kept.
    """
    taken = load(run.path)
    ended = {reading.key for reading in taken}
    # What was calibrated once is not again: every block does the same.
    loops = {reading.key[1:]: reading.loops for reading in taken if reading.loops is not None}
    with explained(run.path):
        (run.path / RAW).mkdir(exist_ok=True)
    for each in planned(models, effort.blocks, run.manifest.seed):
        if each.key in ended:
            continue
        say(f"{each.block}/{each.model.contender}/{each.case}")
        reading = _take(run.path, each, effort, loops.get(each.key[1:]))
        if reading.failure is not None:
            say(f"{each.model.contender}/{each.case} failed: {reading.failure}")
        append(run.path, reading)
        if reading.loops is not None:
            loops.setdefault(each.key[1:], reading.loops)


def _take(path: Path, planned: Planned, effort: Effort, loops: int | None) -> Reading:
    model, case = planned.model, planned.case
    suffix = "json" if isinstance(model, PythonModel) else "txt"
    name = f"{planned.block:03}-{model.contender}-{case.primitive}-{case.name}.{suffix}"
    raw = path / RAW / name
    reading = Reading(
        block=planned.block,
        order=planned.order,
        contender=model.contender,
        primitive=case.primitive,
        case=case.name,
        seconds=None,
        started_at=now(),
    )
    try:
        # One that was killed may have left its file.
        raw.unlink(missing_ok=True)
        if isinstance(model, PythonModel):
            found = _python(model, case, raw, effort, loops)
        else:
            found = _go(model, case, raw, effort)
    except ProgramFailed as error:
        return msgspec.structs.replace(reading, failure=str(error))
    return msgspec.structs.replace(reading, **found._asdict(), raw=f"{RAW}/{name}")


def _python(model: PythonModel, case: Case, raw: Path, effort: Effort, loops: int | None) -> Found:
    timer = case.primitive == "timer_lateness"
    options = {
        "--event-loop": model.loop,
        "--timers": effort.timers,
        "--output": raw,
        # One value of one process, after one that warms up; the first time loops are calibrated.
        "--processes": 1,
        "--values": 1,
        "--warmups": 1,
        "--min-time": effort.min_time_s,
        **({} if loops is None or timer else {"--loops": loops}),
    }
    output_of(
        [
            *(str(model.python), "-m", "raftmark.bench.primitives.models", model.model, str(case)),
            *("--copy-env", "--quiet"),
            *(str(each) for option in options.items() for each in option),
        ],
        timeout_s=_TIMEOUT_S,
        env=model.env,
    )
    if timer:
        found = json.loads(raw.read_bytes())
        late = found["lateness_ns"]
        p50, p99 = np.quantile(late, [0.5, 0.99]) / 1e9
        return Found(float(p50), float(p99), found["means"], len(late))
    benchmark = pyperf.BenchmarkSuite.load(str(raw)).get_benchmarks()[0]
    means = benchmark.get_metadata()["means"]
    return Found(benchmark.median(), None, means, benchmark.get_total_loops())


def _go(model: GoModel, case: Case, raw: Path, effort: Effort) -> Found:
    timer = case.primitive == "timer_lateness"
    benchtime = f"{effort.timers}x" if timer else f"{effort.min_time_s}s"
    printed = output_of(
        [
            str(model.program),
            *(
                "-test.run",
                "^$",
                "-test.bench",
                f"^Benchmark{_GO_NAMES[case.primitive]}$/^{case.name}$",
            ),
            *("-test.benchtime", benchtime, "-test.count", "1"),
        ],
        timeout_s=_TIMEOUT_S,
        env=model.env,
        cwd=GO_DIRECTORY,
    )
    raw.write_text(printed, encoding="utf-8")
    return parse_go(printed, case)


def parse_go(printed: str, case: Case) -> Found:
    """Read the one benchmark in what a Go benchmark printed. Raises `ProgramFailed` without it."""
    name = f"Benchmark{_GO_NAMES[case.primitive]}/{case.name}"
    line = re.search(rf"^{name}(?:-\d+)?\s+(\d+)\s+(.*)$", printed, re.MULTILINE)
    if line is None:
        raise ProgramFailed(f"no {name} in what was printed:\n{printed.strip()}")
    metrics = {
        metric.partition("/")[0]: float(value) * scale
        for value, metric in re.findall(r"([\d.e+-]+) (\S+)", line[2])
        for unit, scale in _GO_UNITS.items()
        if re.search(rf"(^|-){unit}(/op)?$", metric)
    }
    means = re.search(r"^means: (.*)$", printed, re.MULTILINE)
    try:
        if case.primitive == "timer_lateness":
            seconds, p99_s = metrics["p50-ns"], metrics["p99-ns"]
        else:
            seconds, p99_s = metrics["ns"], None
    except KeyError as error:
        raise ProgramFailed(f"{name} reports no {error.args[0]}: {line[0]}") from error
    return Found(seconds, p99_s, means[1] if means else "", int(line[1]))
