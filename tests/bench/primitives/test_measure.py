"""Readings are taken in randomised blocks, once each, and those that fail are kept too."""

import json
import sys
from pathlib import Path

import pyperf
import pytest

from raftmark.bench.contenders.registry import Unavailable, load_contenders
from raftmark.bench.primitives import measure as module
from raftmark.bench.primitives.bare import GoModel, ProgramFailed, PythonModel, models
from raftmark.bench.primitives.measure import QUICK, measure_primitives, parse_go, planned
from raftmark.bench.runs.readings import CASES, Case, load
from raftmark.bench.runs.store import Run
from raftmark.terminal.tables import primitives_table
from tests.bench.support import manifest

THREADS = PythonModel("threading", "threads", Path(sys.executable), "asyncio")
UVLOOP = PythonModel("asyncio@uvloop", "tasks", Path(sys.executable), "uvloop")
GO = GoModel("go", Path("benchmarks"))


def test_a_block_has_every_case_of_every_model_in_random_order():
    readings = planned([THREADS, GO], 3, seed=1)
    assert len({reading.key for reading in readings}) == len(readings) == 3 * 2 * len(CASES)
    orders = [[r.key[1:] for r in readings if r.block == block] for block in range(3)]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert readings == planned([THREADS, GO], 3, seed=1)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path, manifest(["threading", "asyncio@uvloop", "go"], [], blocks=2))


@pytest.fixture
def programs(monkeypatch):
    """Stand in for the programs: they write what the real ones write, and are counted."""
    commands: list[list[str]] = []

    def output_of(command: list[str], **_: object) -> str:
        commands.append(command)
        if "-test.bench" in command:
            if "Majority" in command[command.index("-test.bench") + 1]:
                raise ProgramFailed("no majority today")
            name, _, case = command[command.index("-test.bench") + 1].strip("^$").partition("$/^")
            late = "\t 90.0 p50-ns\t 99.0 p99-ns" if "Timer" in name else ""
            return (
                f"goos: linux\nmeans: a channel\n{name}/{case}-2 \t 100\t 250.0 ns/op{late}\nPASS\n"
            )
        output = Path(command[command.index("--output") + 1])
        if "timer_lateness" in command[4]:
            late = {"means": "select", "lateness_ns": list(range(101))}
            output.write_text(json.dumps(late))
        else:
            loops = pyperf.Run(
                [0.5],
                metadata={"name": "x", "loops": 8, "means": "a queue"},
                collect_metadata=False,
            )
            pyperf.BenchmarkSuite([pyperf.Benchmark([loops])]).dump(str(output))
        return ""

    monkeypatch.setattr(module, "output_of", output_of)
    return commands


def test_every_reading_is_taken_once_and_kept_with_its_raw_file(run, programs):
    effort = QUICK._replace(blocks=2)
    measure_primitives(run, [THREADS, UVLOOP, GO], effort, lambda _: None)
    readings = load(run.path)
    assert len(readings) == len(programs) == 2 * 3 * len(CASES)
    found = {reading.key: reading for reading in readings}
    threads = found[0, "threading", "one_way", "usual"]
    assert (threads.seconds, threads.means, threads.loops) == (0.5, "a queue", 8)
    timer = found[1, "asyncio@uvloop", "timer_lateness", "busy"]
    assert (timer.seconds, timer.p99_s) == (pytest.approx(50e-9), pytest.approx(99e-9))
    assert timer.loops == 101
    go = found[0, "go", "spawn_join", "fastest"]
    assert (go.seconds, go.means, go.loops) == (pytest.approx(250e-9), "a channel", 100)
    failed = found[0, "go", "majority", "usual"]
    assert (failed.seconds, failed.failure, failed.raw) == (None, "no majority today", None)
    assert all((run.path / r.raw).is_file() for r in readings if r.raw is not None)

    # The second block does as many operations as the first was found to need.
    loops = [c[c.index("--loops") + 1] for c in programs if "--loops" in c]
    assert loops == ["8"] * 2 * (len(CASES) - 2)
    assert primitives_table(run).row_count == len(CASES) + 2

    programs.clear()
    measure_primitives(run, [THREADS, UVLOOP, GO], effort, lambda _: None)
    assert programs == []


def test_a_kill_loses_the_reading_under_way_alone(run, programs, monkeypatch):
    taken = module.output_of

    def killed(command: list[str], **options: object) -> str:
        taken(command, **options)
        if len(programs) == 5:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(module, "output_of", killed)
    with pytest.raises(KeyboardInterrupt):
        measure_primitives(run, [THREADS], QUICK, lambda _: None)
    assert len(load(run.path)) == 4
    monkeypatch.setattr(module, "output_of", taken)
    measure_primitives(run, [THREADS], QUICK, lambda _: None)
    assert len(load(run.path)) == QUICK.blocks * len(CASES)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("PASS\n", "no BenchmarkOneWay/usual in what was printed"),
        ("BenchmarkOneWay/usual-2\t100\t64 B/op\n", "reports no ns"),
    ],
)
def test_what_is_no_benchmark_is_refused(printed, said):
    with pytest.raises(ProgramFailed, match=said):
        parse_go(printed, Case("one_way", "usual"))


def test_a_benchmark_on_one_processor_has_no_suffix():
    found = parse_go("BenchmarkOneWay/usual \t 3\t 1e+03 ns/op\n", Case("one_way", "usual"))
    assert found.seconds == pytest.approx(1e-6)


def test_a_model_that_cannot_run_is_said_and_left_out():
    def no_toolchain() -> Path:
        raise Unavailable("no toolchain")

    said: list[str] = []
    found = models(load_contenders(), no_toolchain, said.append)
    assert [model.contender for model in found] == ["threading", "asyncio", "multiprocessing"]
    assert said == ["go is left out: no toolchain"]
