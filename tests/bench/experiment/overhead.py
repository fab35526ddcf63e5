"""Does the harness change what it measures? The same workload through it, and by hand.

    python -m tests.bench.experiment.overhead asyncio --pairs 20

By hand means: a process, its two pipes, and four lines of JSON, with nothing of `bench` in between.
Both take turns in random order, and the ratio of their throughputs is printed with its interval.
"""

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from raftmark.bench.analysis.metrics import THROUGHPUT, values
from raftmark.bench.analysis.statistics import Estimate, ratio_interval
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import ContenderSpec, load_contenders
from raftmark.bench.design.cells import Cell, replicate_cell
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.trial import run_trial
from raftmark.bench.runs.results import ReplicateResult, parse_result
from raftmark.bench.runs.store import Run
from tests.bench.support import manifest


class Overhead(NamedTuple):
    """Commands per second through the harness and by hand, pair by pair, and their ratio."""

    harness: list[float]
    by_hand: list[float]

    @property
    def ratio(self) -> Estimate:
        return ratio_interval(self.harness, self.by_hand)


def measure_overhead(spec: ContenderSpec, cell: Cell, pairs: int, directory: Path) -> Overhead:
    """Measure `pairs` pairs. Raises `AssertionError` when a trial fails, not for its figure."""
    run = Run.create(directory, manifest([spec.name], [cell], blocks=pairs))
    found = Overhead([], [])
    for block in range(pairs):
        planned = Planned(cell, block, 0, spec.name)
        turns = [
            lambda planned=planned: found.harness.append(_through_harness(planned, spec, run)),
            lambda planned=planned: found.by_hand.append(_by_hand(planned, spec, run)),
        ]
        random.Random(block).shuffle(turns)
        for turn in turns:
            turn()
    return found


def _through_harness(planned: Planned, spec: ContenderSpec, run: Run) -> float:
    trial = run_trial(planned, spec, run)
    assert trial.failure is None, trial.failure
    return values(planned.cell, trial)[THROUGHPUT]


def _by_hand(planned: Planned, spec: ContenderSpec, run: Run) -> float:
    cell, seed = planned.cell, planned.cluster_seed(run.manifest.seed)
    requests = [
        {"id": 1, "op": "hello"},
        {"id": 2, "op": "start", **cell.cluster, "seed": seed},
        {"id": 3, "op": "run", "workload": cell.workload},
        {"id": 4, "op": "quit"},
    ]
    with subprocess.Popen(
        spec.argv(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # As the harness does: a session is a group for the scheduler.
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = {}
        for request in requests:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            reply = json.loads(process.stdout.readline())
            while reply.get("id") != request["id"]:
                assert "event" in reply, reply
                reply = json.loads(process.stdout.readline())
            answers[request["op"]] = reply["ok"]
    assert process.returncode == 0
    result = parse_result("replicate", answers["run"])
    assert isinstance(result, ReplicateResult)
    return result.throughput


def main() -> None:
    contenders = load_contenders()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=contenders)
    parser.add_argument("--pairs", type=int, default=12)
    arguments = parser.parse_args()
    spec = contenders[arguments.contender]
    spec.prepare()
    with tempfile.TemporaryDirectory() as directory:
        cell = replicate_cell(64, warmup_s=0.3, duration_s=1.0)
        found = measure_overhead(spec, cell, arguments.pairs, Path(directory))
    value, low, high = found.ratio
    print(f"{spec.label}: harness / by hand = {value:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
