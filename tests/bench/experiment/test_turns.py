"""Two contenders in turns: who runs when, and what becomes of both."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise

import msgspec
import psutil
import pytest

from raftmark.bench.analysis import metrics
from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.contenders.stopping import CAN_KEEP_ON, CannotStop, Stopping
from raftmark.bench.design.cells import turns_cell
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.turns import run_pair, take_turns
from raftmark.bench.runs.results import parse_result
from raftmark.bench.runs.store import Run
from raftmark.bench.runs.turns import between_turns, in_turns
from tests.bench.support import PATIENCE, contenders, fake, manifest

CELL = turns_cell(2, warmup_s=0.05, duration_s=0.4)


class Clockwork:
    """Two that are stopped and go on, and what they saw."""

    def __init__(self, rounds):
        self.over = threading.Event()
        self.seen = []
        self.left = 2 * rounds

    def side(self, name):
        clockwork = self

        class Side:
            def go_on(self):
                clockwork.seen.append(f"{name} goes on")
                clockwork.left -= 1
                if clockwork.left == 0:
                    clockwork.over.set()

            def stop(self):
                clockwork.seen.append(f"{name} stops")

            def keep_on(self, processors):
                clockwork.seen.append(f"{name} on {sorted(processors)}")

        return Side()


def test_one_runs_while_the_other_is_stopped_and_a_coin_says_who_begins():
    clockwork = Clockwork(rounds=40)
    both = [clockwork.side("a"), clockwork.side("b")]
    turns = take_turns(both, 0.0005, random.Random(1), clockwork.over, PATIENCE)
    assert clockwork.seen[:2] == ["a stops", "b stops"]
    assert clockwork.seen[-2:] == ["a goes on", "b goes on"]
    between = clockwork.seen[2:-2]
    begun = [each.split()[0] for each in between[::2]]
    assert between[1::2] == [f"{name} stops" for name in begun]
    rounds = {"".join(pair) for pair in zip(begun[::2], begun[1::2], strict=True)}
    assert rounds == {"ab", "ba"}
    assert [len(each) for each in turns] == [40, 40]
    everything = sorted(turns[0] + turns[1])
    assert all(a[1] <= b[0] for a, b in pairwise(everything))


def test_two_that_share_a_processor_have_the_same_in_each_pair_of_turns():
    clockwork = Clockwork(rounds=40)
    both = [clockwork.side("a"), clockwork.side("b")]
    take_turns(both, 0.0005, random.Random(1), clockwork.over, PATIENCE, [3, 5])
    of_a, of_b = (
        [line.split(" on ")[1] for line in clockwork.seen if line.startswith(f"{name} on [")]
        for name in "ab"
    )
    assert of_a == of_b
    assert {*of_a[:-1]} == {"[3]", "[5]"}
    assert of_a[-1] == "[3, 5]"


@pytest.mark.skipif(not CAN_KEEP_ON, reason="no process can be kept on a processor here")
def test_all_threads_are_kept_on_a_processor_and_let_go(tmp_path):
    (processor, *_) = everywhere = os.sched_getaffinity(0)
    with load_contenders()["asyncio"].launch() as contender, Guardian() as guardian:
        contender.call("start", nodes=3)
        with Stopping.of(contender, guardian) as stopping:
            threads = [
                thread.id
                for pid in contender.processes()
                for thread in psutil.Process(pid).threads()
            ]
            stopping.keep_on({processor})
            assert all(os.sched_getaffinity(thread) == {processor} for thread in threads)
            stopping.keep_on(everywhere)
            assert all(os.sched_getaffinity(thread) == everywhere for thread in threads)


def test_turns_end_when_neither_answers_in_time():
    clockwork = Clockwork(rounds=10**9)
    both = [clockwork.side("a"), clockwork.side("b")]
    take_turns(both, 0.001, random.Random(1), clockwork.over, 0.05)
    assert clockwork.seen[-2:] == ["a goes on", "b goes on"]


def pair_of(tmp_path, commands, cell=CELL, specs=None, said=None):
    names = list(commands)
    specs = specs or contenders(tmp_path, commands)
    run = Run.create(tmp_path / "results", manifest(names, [cell]))
    planned = [Planned(cell, 0, order, name) for order, name in enumerate(names)]
    say = [].append if said is None else said.append
    before = set(psutil.Process().children())
    with Guardian() as guardian:
        trials = run_pair(planned, [specs[name] for name in names], run, guardian, say)
    assert [trial.contender for trial in trials] == names
    assert set(psutil.Process().children()) <= before
    return trials


def test_a_pair_of_contenders_runs_in_turns(tmp_path):
    trials = pair_of(tmp_path, {"a": fake("stub"), "b": fake("stub")})
    assert [trial.failure for trial in trials] == [None, None]
    for trial in trials:
        assert trial.check is not None
        assert trial.check.passed
        assert trial.turns
        assert trial.cost is not None
    assert trials[0].turns != trials[1].turns
    assert msgspec.json.decode(msgspec.json.encode(trials[0]), type=type(trials[0])) == trials[0]


@pytest.mark.parametrize("operation", ["start", "run"])
def test_one_that_fails_costs_its_own_trial_alone(tmp_path, operation):
    bad, good = pair_of(tmp_path, {"a": fake("crashes", operation), "b": fake("stub")})
    assert bad.failure is not None
    assert bad.failure.stage == operation
    assert good.failure is None


def test_where_nothing_can_be_stopped_one_runs_after_the_other(tmp_path, monkeypatch):
    def refuse(self):
        raise CannotStop("a debugger holds it")

    monkeypatch.setattr(Stopping, "require", refuse)
    said = []
    trials = pair_of(tmp_path, {"a": fake("stub"), "b": fake("stub")}, said=said)
    assert [(trial.failure, trial.turns) for trial in trials] == [(None, None)] * 2
    assert said == [f"{CELL.id}/0/a: no turns, one after the other: a debugger holds it"]


@pytest.mark.parametrize("name", ["go", "multiprocessing"])
def test_a_contender_counts_in_its_turns_and_not_between(tmp_path, name):
    spec = load_contenders()[name]
    spec.prepare()
    specs = {side: msgspec.structs.replace(spec, name=side) for side in ("a", "b")}
    # Some turns of which each has whole slices, also where much else runs.
    cell = turns_cell(64, warmup_s=0.2, duration_s=2)
    # On a machine with much else to do a stop may last for longer than it usually has to.
    patient = {**cell.cluster, "election_timeout_ms": [2000, 2400]}
    cell = msgspec.structs.replace(cell, cluster=patient, timeout_s=PATIENCE)
    for trial in pair_of(tmp_path, dict.fromkeys(specs), cell, specs):
        assert trial.failure is None
        result = parse_result("replicate", trial.result)
        own = in_turns(result, trial.turns)
        assert 0 < own.commands <= result.commands
        assert 3 * between_turns(result, trial.turns).commands <= result.commands
        throughput = metrics.values(cell, trial)[metrics.THROUGHPUT]
        assert throughput == own.commands / (own.ns / 1e9)


HARNESS = """
import sys
from pathlib import Path
from raftmark.bench.contenders.guardian import Guardian
from raftmark.bench.design.cells import turns_cell
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.turns import run_pair
from raftmark.bench.runs.store import Run
from tests.bench.support import contenders, fake, manifest
path = Path(sys.argv[1])
cell = turns_cell(2, warmup_s=0, duration_s=600)
specs = contenders(path, dict.fromkeys("ab", fake("stub")))
run = Run.create(path / "results", manifest(["a", "b"], [cell]))
planned = [Planned(cell, 0, order, name) for order, name in enumerate("ab")]
with Guardian() as guardian:
    print(guardian.pid, flush=True)
    run_pair(planned, [specs[name] for name in "ab"], run, guardian, print)
"""


def test_a_harness_that_is_killed_in_a_turn_leaves_no_process_behind(tmp_path):
    command = [sys.executable, "-c", HARNESS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as harness:
        guardian = int(harness.stdout.readline())
        mine = psutil.Process(harness.pid)
        deadline = time.monotonic() + PATIENCE
        # Both contenders live, and one of them is stopped: the turns have begun.
        while True:
            found = [p for p in mine.children() if p.pid != guardian]
            if len(found) == 2 and psutil.STATUS_STOPPED in [p.status() for p in found]:
                break
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(harness.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([*found, *_if_there(guardian)], timeout=PATIENCE)
    assert not alive


def _if_there(pid):
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []
