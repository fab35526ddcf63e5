import math
import socket

import msgspec
import pytest
import typer

from raftmark.bench.analysis.statistics import Estimate
from raftmark.bench.baselines import bare, pingpong, pysyncobj
from raftmark.bench.baselines.floors import (
    CONTENDERS,
    Floor,
    floors_of,
    judge,
    per_cpu,
    specification,
)
from raftmark.bench.baselines.programs import BASELINES
from raftmark.bench.baselines.turns import READINGS, Reading, interleave
from raftmark.bench.contenders.registry import Build
from raftmark.bench.design.schedule import Planned
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.bench.runs.store import Run
from raftmark.commands import models
from raftmark.terminal.tables import floors_table
from tests.bench.support import HELLO, manifest, measured_trial

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

ABSENT = {"hashicorp": "no route to its module", "hashicorp-tuned": "not built"}


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
    peer = "go-w256-tcp / etcd-w256-tcp, for each CPU second"
    assert floors[peer].verdict == "not measured"
    absent = {floor.what: floor for floor in judge(SAMPLES, {"etcd": "it is not built"})}
    assert absent[peer].verdict == "not measured: it is not built"
    with_bare = judge({**SAMPLES, "bare-asyncio-w64": same(400_000)})
    found = next(floor for floor in with_bare if floor.what == share)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.25)
    assert found.verdict == "missed"


def test_go_is_held_against_its_peers_by_what_a_command_costs():
    costs = {"go": 4e-6, "etcd": 10e-6, "hashicorp": 6e-6}
    samples = {per_cpu(f"{name}-w256-tcp"): same(cost) for name, cost in costs.items()}
    floors = {floor.what: floor for floor in judge(samples)}
    etcd = floors["go-w256-tcp / etcd-w256-tcp, for each CPU second"]
    assert etcd.estimate is not None
    assert etcd.estimate.value == pytest.approx(2.5)
    assert etcd.verdict == "met"
    assert floors["go-w256-tcp / hashicorp-w256-tcp, for each CPU second"].verdict == "missed"


def test_a_run_tells_loads_placements_and_contenders_apart(tmp_path):
    """The very run that is measured: compiled forms and peers are among its contenders."""
    entries = [
        ContenderEntry(name, name, HELLO, None, transports=["native", "tcp"])
        for name in CONTENDERS
        if name not in ABSENT
    ]
    entries.append(ContenderEntry("hashicorp", "hashicorp/raft", None, "no route to its module"))
    cells = specification(1).cells
    run = Run.create(tmp_path, manifest([], cells, blocks=1, contenders=entries))
    for step in interleave(run, {}):
        assert isinstance(step, Planned)
        rank = 1 + CONTENDERS.index(step.contender)
        outstanding = step.cell.workload["outstanding"]
        run.append(measured_trial(step, 1000 * rank * outstanding, cpu_s=0.1 * rank**2))
    reading = Reading("bare-asyncio@mypyc-w64", 0, 640_000, "bare-asyncio-w64")
    (run.path / READINGS).write_bytes(msgspec.json.encode(reading) + b"\n")
    floors = {floor.what: floor for floor in floors_of(run, {"hashicorp-tuned": "not built"})}
    compiled = floors["asyncio@mypyc-w64 / bare-asyncio@mypyc-w64"]
    assert compiled.estimate is not None
    assert compiled.estimate.value == pytest.approx((1 + CONTENDERS.index("asyncio@mypyc")) / 10)
    peer = floors["go-w256-tcp / etcd-w256-tcp, for each CPU second"]
    assert peer.estimate is not None
    ranks = [1 + CONTENDERS.index(name) for name in ("etcd", "go")]
    assert peer.estimate.value == pytest.approx(ranks[0] / ranks[1])
    verdicts = [floors[f"go-w256-tcp / {n}-w256-tcp, for each CPU second"].verdict for n in ABSENT]
    assert verdicts == [f"not measured: {why}" for why in ABSENT.values()]


def test_peers_that_nobody_built_are_named_and_not_built(monkeypatch):
    monkeypatch.setattr(Build, "is_done", lambda self, root: False)
    specs, absent = models._built(CONTENDERS)
    assert set(specs) | set(absent) == set(CONTENDERS)
    assert "'raftmark peers' builds it" in absent["etcd"]
    assert {"go", "asyncio@mypyc", "threading@mypyc"} <= specs.keys()
    monkeypatch.setattr(Build, "is_done", lambda self, root: True)
    specs, absent = models._built(CONTENDERS)
    assert list(specs) == list(CONTENDERS)
    assert absent == {}


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
    # So long that no stall is all of it, and without a part in which nothing counts.
    load = bare.Load(3, warmup_s=0, duration_s=0.5)
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


def test_the_addresses_of_nodes_are_kept_for_them():
    with pysyncobj._addresses() as addresses, socket.socket() as other, socket.socket() as node:
        assert len({*addresses}) == pysyncobj.NODES
        host, _, port = addresses[0].partition(":")
        with pytest.raises(OSError, match="in use"):
            other.bind((host, int(port)))
        node.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        node.bind((host, int(port)))
        node.listen()
        with socket.create_connection((host, int(port))):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("setting", pysyncobj.SETTINGS)
def test_pysyncobj_answers_the_closed_loop(setting, tmp_path, monkeypatch):
    # A leader that a busy machine holds up must not lose its office.
    patient = {**pysyncobj.SETTINGS[setting], "raftMinTimeout": 2.0, "raftMaxTimeout": 3.0}
    monkeypatch.setitem(pysyncobj.SETTINGS, setting, patient)
    journals = tmp_path if setting == "batched" else None
    result = pysyncobj.measure(setting, pysyncobj.Load(4, warmup_s=0, duration_s=1), journals)
    assert len(list(tmp_path.glob("*.journal"))) == (3 if journals else 0)
    assert result["commands"] > 0
    assert 0 < result["p50_s"] < 60
