"""The A/A pair: the same program under a second name."""

import msgspec
import pytest

from raftmark.bench.analysis.noise import noise_floors, say_noise
from raftmark.bench.experiment.measure import End
from raftmark.bench.experiment.twin import choose_base, twin_of, with_twins
from raftmark.bench.runs.forms import ContenderEntry, pairs
from raftmark.bench.runs.store import Run
from tests.bench.support import (
    HELLO,
    contenders,
    election_cell,
    fake,
    manifest,
    measure_quietly,
    replicate_cell,
)

A, B = (ContenderEntry(name, name.title(), HELLO, None) for name in ("a", "b"))
ABSENT = ContenderEntry("absent", "Absent", None, "no such program")


def test_a_twin_is_its_base_by_another_name():
    twin = twin_of(A)
    assert (twin.name, twin.label, twin.base, twin.twin) == ("a~", "A (again)", "a", True)
    assert twin.hello == A.hello
    assert pairs([A, B, twin]) == [("a", "a~")]


def test_the_seed_chooses_among_those_that_can_run():
    chosen = [choose_base([A, B, ABSENT], seed) for seed in range(50)]
    assert chosen == [choose_base([A, B, ABSENT], seed) for seed in range(50)]
    assert {entry.name for entry in chosen if entry is not None} == {"a", "b"}


def test_a_name_overrules_the_seed():
    assert [choose_base([A, B], seed, "b") for seed in range(20)] == [B] * 20


def test_who_cannot_run_has_no_twin():
    assert choose_base([ABSENT], 1) is None
    assert choose_base([A, ABSENT], 1, "absent") is None


def test_a_twin_is_launched_as_its_base_is(tmp_path):
    specs = contenders(tmp_path, {"a": fake("stub"), "b": fake("stub")})
    entries = [A, B, twin_of(A)]
    twin = with_twins(specs, entries)["a~"]
    assert twin.argv() == specs["a"].argv()
    assert (twin.color, twin.name) == (specs["a"].color, "a~")


def test_the_twin_takes_part_in_every_block(tmp_path):
    specs = contenders(tmp_path, {"a": fake("stub"), "b": fake("stub")})
    entries = [A, B, twin_of(A)]
    run = Run.create(tmp_path, manifest(["a", "b", "a~"], [election_cell()], contenders=entries))
    assert measure_quietly(run, with_twins(specs, entries)) is End.COMPLETE
    assert [trial.status for trial in run.trials] == ["ok"] * 6
    assert {(t.block, t.contender) for t in run.trials} == {
        (block, name) for block in (0, 1) for name in ("a", "b", "a~")
    }


def test_the_noise_floor_is_the_twins_own_difference(tmp_path):
    specs = contenders(tmp_path, {"a": fake("stub")})
    entries = [A, twin_of(A)]
    cells = [replicate_cell(), election_cell()]
    run = Run.create(tmp_path, manifest([], cells, contenders=entries))
    measure_quietly(run, with_twins(specs, entries))
    # The stub always gives the same figures.
    assert noise_floors(run) == {"replicate-w2": 0, "election-12-24": 0}
    assert say_noise(run).startswith("noise floor by a and a~, which are the same")
    changed = {"commands": 44, "latency_ns": [[1000, 44]]}
    for number, trial in enumerate(run.trials):
        if (trial.contender, trial.cell) == ("a~", "replicate-w2"):
            result = {**trial.result, **changed}
            run.trials[number] = msgspec.structs.replace(trial, result=result)
    # 40 commands against 44 in every block.
    assert noise_floors(run)["replicate-w2"] == pytest.approx(0.1)


def test_without_a_twin_there_is_no_floor(tmp_path):
    run = Run.create(tmp_path, manifest(["a"], [election_cell()]))
    assert noise_floors(run) == {}
    assert say_noise(run) == ""
