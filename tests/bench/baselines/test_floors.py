import math

import msgspec
import pytest
import typer

from raftmark.bench.analysis.statistics import Estimate
from raftmark.bench.baselines import bare, pingpong, pysyncobj
from raftmark.bench.baselines.floors import BASELINES, Floor, judge, specification
from raftmark.bench.baselines.turns import READINGS, Reading, interleave
from raftmark.bench.design.schedule import Planned
from raftmark.bench.runs.store import Run
from raftmark.commands import models
from raftmark.terminal.tables import floors_table
from tests.bench.support import manifest

BLOCKS = range(6)


def same(value: float) -> dict[int, float]:
    return dict.fromkeys(BLOCKS, value)


SAMPLES = {
    "threading-w64": same(160_000),
    "asyncio-w64": same(100_000),
    "multiprocessing-w64": same(100_000),
    "pysyncobj-batched-w64": same(20_000),
    "pysyncobj-unbatched-w64": same(10_000),
    "asyncio-w1": same(25_000),
    "pysyncobj-batched-w1": same(400),
    "pysyncobj-unbatched-w1": same(4_000),
    "go-w256": same(2_000_000),
    "pingpong-asyncio": same(10e-6),
}


def test_every_floor_is_held_against_the_better_setting():
    floors = {floor.what: floor for floor in judge(SAMPLES)}
    at_64 = floors["threading-w64 / pysyncobj-batched-w64"]
    assert at_64.estimate is not None
    assert at_64.estimate.value == pytest.approx(8)
    assert floors["asyncio-w64 / pysyncobj-batched-w64"].verdict == "missed"
    assert floors["asyncio-w1 / pysyncobj-unbatched-w1"].verdict == "met"
    assert floors["go-w256, commands/s"].verdict == "met"
    lone = floors["asyncio: a lone command / 4 messages of its ping-pong"]
    assert lone.estimate is not None
    # 40 us against four half round trips of 5 us.
    assert lone.estimate.value == pytest.approx(2)
    assert lone.verdict == "met"
    assert floors["go: a lone command / 4 messages of its ping-pong"].verdict == "not measured"
    assert floors_table(list(floors.values())).row_count == len(floors)


def test_what_is_not_there_to_be_held_against_is_said():
    floors = {floor.what: floor for floor in judge(SAMPLES)}
    share = "asyncio-w64 / bare-asyncio-w64"
    assert floors[share].verdict == "not measured: its bare program was not measured"
    peer = floors["go-w256 / etcd, tuned, for each CPU second"]
    assert peer.verdict == "not measured: it is no contender yet"
    with_bare = judge({**SAMPLES, "bare-asyncio-w64": same(400_000)})
    found = next(floor for floor in with_bare if floor.what == share)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.25)
    assert found.verdict == "missed"


@pytest.mark.parametrize(
    ("estimate", "at_least", "verdict"),
    [
        (Estimate(9, 8.5, 9.5), True, "met"),
        (Estimate(9, 7.5, 9.5), True, "uncertain"),
        (Estimate(7, 6.5, 7.5), True, "missed"),
        (Estimate(7, 6.5, 7.5), False, "met"),
        (Estimate(9, math.nan, math.nan), True, "met"),
        (None, True, "not measured"),
    ],
)
def test_a_verdict_needs_the_whole_interval(estimate, at_least, verdict):
    assert Floor("x", estimate, 8, at_least).verdict == verdict


def test_every_block_has_every_trial_and_every_baseline(tmp_path):
    plan = manifest(["threading", "go"], specification(3).cells, blocks=3)
    run = Run.create(tmp_path, plan)
    steps = list(interleave(run, BASELINES))
    trials = [step for step in steps if isinstance(step, Planned)]
    baselines = [step for step in steps if not isinstance(step, Planned)]
    assert len({trial.id for trial in trials}) == len(trials) == 3 * 2 * 3
    assert len(set(baselines)) == len(baselines) == 3 * len(BASELINES)


def test_what_was_read_is_not_read_again(tmp_path):
    run = Run.create(tmp_path, manifest(["go"], specification(2).cells, blocks=2))
    read = Reading("pingpong-threading", 1, 1e-5, "pingpong")
    (run.path / READINGS).write_bytes(msgspec.json.encode(read) + b"\n")
    steps = interleave(run, BASELINES)
    names = [step for step in steps if not isinstance(step, Planned)]
    assert (0, "pingpong") in names
    assert (1, "pingpong") not in names
    assert len(names) == 2 * len(BASELINES) - 1


@pytest.mark.parametrize(
    "exchange", [pingpong.threads, pingpong.tasks, pingpong.processes], ids=lambda f: f.__name__
)
def test_a_ping_pong_takes_its_time_and_ends(exchange):
    assert exchange(50) > 0


@pytest.mark.parametrize("model", bare.MODELS)
def test_a_bare_program_answers_each_client_and_ends(model):
    load = bare.Load(3, warmup_s=0.01, duration_s=0.1)
    result = bare.MODELS[model](load)
    assert result["commands"] > 0
    assert result["seconds"] == load.duration_s


def test_each_share_of_a_bare_program_has_what_measures_it():
    measured = {name for name in BASELINES if name.startswith("bare-")}
    asked = {f.what.split(" / ")[1] for f in judge({}) if " / bare-" in f.what}
    assert {name.replace("@mypyc", "") for name in asked} == measured


def test_an_acknowledgement_answers_for_all_messages_up_to_its_own():
    leader = bare.Leader()
    assert leader.send(["a"], [1]) == (1, ["a"])
    leader.send(["b", "c"], [2, 3])
    leader.send(["d"], [4])
    assert list(leader.acknowledged(2)) == [1, 2, 3]
    assert list(leader.acknowledged(2)) == [], "the second follower's"
    assert list(leader.acknowledged(3)) == [4]


def test_where_there_is_no_pysyncobj_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(typer.TyperException, match="'make setup-test' installs it"):
        models.floors(results=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("setting", pysyncobj.SETTINGS)
def test_pysyncobj_answers_the_closed_loop(setting, tmp_path):
    journals = tmp_path if setting == "batched" else None
    result = pysyncobj.measure(setting, pysyncobj.Load(4, warmup_s=0.1, duration_s=0.5), journals)
    assert len(list(tmp_path.glob("*.journal"))) == (3 if journals else 0)
    assert result["commands"] > 0
    assert 0 < result["p50_s"] < 60
