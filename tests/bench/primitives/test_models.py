"""Every case does its operations, once and in bounded time, and leaves nothing behind."""

import asyncio
import json
import multiprocessing
import subprocess
import sys
import threading

import pyperf
import pytest
import uvloop

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.primitives.models import TIMER_S, Ticking, processes, tasks, threads
from raftmark.bench.runs.readings import CASES

MODELS = {
    "threads": threads.CASES,
    "tasks": tasks.cases(asyncio.new_event_loop),
    "tasks on uvloop": tasks.cases(uvloop.new_event_loop),
    "processes": processes.CASES,
}
NAMES = [str(case) for case in CASES]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_every_case(model):
    assert list(MODELS[model]) == NAMES
    assert all(case.means for case in MODELS[model].values())


# The fork server outlives its case: the program below is what runs that.
ALONE = ("processes", "spawn_join/usual")


@pytest.mark.parametrize(
    ("model", "name"), [(m, n) for m in MODELS for n in NAMES if (m, n) != ALONE]
)
def test_a_case_ends_and_leaves_nothing_behind(model, name):
    case = MODELS[model][name]
    before = threading.active_count()
    for loops in (1, 2, 33):
        if isinstance(case, Ticking):
            late = case.lateness_ns(3)
            assert len(late) == 3
            # An event loop may be early, but by a small part of the time only.
            assert min(late) > -TIMER_S * 1e9 / 2
            break
        assert case.seconds(loops) > 0
    assert threading.active_count() == before
    assert multiprocessing.active_children() == []


def measured(tmp_path, *arguments: str) -> object:
    output = tmp_path / "output.json"
    options = ["--processes", "1", "--values", "1", "--warmups", "1", "--loops", "2", "--quiet"]
    command = [
        sys.executable,
        "-m",
        "raftmark.bench.primitives.models",
        *arguments,
        *options,
        "--output",
        str(output),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return output


@pytest.mark.parametrize(
    ("arguments", "means"),
    [
        (ALONE, "forkserver"),
        (("tasks", "one_way/fastest", "--event-loop", "uvloop"), "call_soon"),
    ],
)
def test_a_model_is_a_pyperf_script(tmp_path, arguments, means):
    [benchmark] = pyperf.BenchmarkSuite.load(str(measured(tmp_path, *arguments))).get_benchmarks()
    assert len(benchmark.get_values()) == 1
    assert benchmark.median() > 0
    assert benchmark.get_total_loops() == 2
    assert benchmark.get_metadata()["means"] == means


def test_every_lateness_of_a_timer_is_kept(tmp_path):
    found = measured(tmp_path, "threads", "timer_lateness/idle", "--timers", "3")
    answer = json.loads(found.read_text())
    assert len(answer["lateness_ns"]) == 3
    assert answer["means"] == "SimpleQueue.get(timeout)"
