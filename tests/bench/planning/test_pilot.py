"""The pilot: variances and costs in, blocks and durations out."""

import math

import msgspec
import numpy as np
import pytest

from raftmark.bench.analysis.statistics import median_bounds
from raftmark.bench.design.cells import election_cell, failover_cell, replicate_cell
from raftmark.bench.planning.pilot import (
    FEWEST_BLOCKS,
    MOST_BLOCKS,
    Components,
    components,
    plan,
    read_precision,
)
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run
from raftmark.terminal.tables import plan_table
from tests.bench.support import manifest

CELL = replicate_cell(64)


def process(cell, block, contender, *, result, duration_s=4.0):
    return Trial(
        trial=f"{cell.id}/{block}/{contender}",
        cell=cell.id,
        block=block,
        order=0,
        contender=contender,
        status="ok",
        failure=None,
        result=result,
        check=None,
        cost=None,
        machine=None,
        started_at="2026-01-01T00:00:00Z",
        duration_s=duration_s,
    )


def replicated(rates):
    """A closed loop with so many commands a second in each slice of 100 ms."""
    counts = [round(rate / 10) for rate in rates]
    total, end = sum(counts), 100_000_000 * len(counts)
    return {
        "node": 1,
        "client": "made up",
        "started_ns": 0,
        "ended_ns": end,
        "commands": total,
        "latency_ns": [[1000, total]],
        "slices": [[100_000_000 * (n + 1), count] for n, count in enumerate(counts)],
        "acknowledged": [total],
        "counters": {},
    }


def varying(path, between, within, *, processes=200, slices=20, cell=CELL):
    """A run whose processes and slices vary as much as is said, relatively."""
    rng = np.random.default_rng(3)
    run = Run.create(path, manifest(["a"], [cell], blocks=processes))
    for block in range(processes):
        level = 1e6 * math.exp(between * rng.standard_normal())
        rates = level * np.exp(within * rng.standard_normal(slices))
        run.trials.append(process(cell, block, "a", result=replicated(rates)))
    return run


@pytest.mark.parametrize(("between", "within"), [(0.05, 0.2), (0.05, 0.02), (0.0, 0.1)])
def test_the_components_of_known_variances_are_found(tmp_path, between, within):
    (found,) = components(varying(tmp_path, between, within))
    assert (found.cell, found.contender) == (CELL.id, "a")
    assert found.within == pytest.approx(within, rel=0.1)
    assert found.between == pytest.approx(between, rel=0.2, abs=0.012)
    # The trial took 4 s, of which 20 slices of 0.1 s.
    assert (found.repetition_s, found.process_s) == pytest.approx((0.1, 2.0))


def test_the_best_number_of_repetitions_is_that_of_the_formula():
    # sqrt(1.6 / 0.1) x 0.2 / 0.05 = 16.
    each = Components("cell", "a", within=0.2, between=0.05, repetition_s=0.1, process_s=1.6)
    assert each.repetitions(100) == 16
    assert each.repetitions(10) == 10
    assert each._replace(between=0.0).repetitions(100) == 100
    assert each._replace(within=0.0).repetitions(100) == 1
    assert each._replace(within=None).repetitions(100) == 1


def test_no_other_number_of_repetitions_is_cheaper_for_the_same_variance():
    each = Components("cell", "a", within=0.3, between=0.04, repetition_s=0.1, process_s=2.0)

    def cost(repetitions):
        variance = each.between**2 + each.within**2 / repetitions
        return variance * (each.process_s + repetitions * each.repetition_s)

    assert min(range(1, 300), key=cost) == pytest.approx(each.repetitions(1000), abs=1)


def test_the_blocks_of_a_plan_reach_its_precision():
    each = Components("cell", "a", within=0.1, between=0.05, repetition_s=0.1, process_s=2.0)
    blocks = each.blocks(10, precision=0.03)
    assert FEWEST_BLOCKS < blocks < MOST_BLOCKS
    sigma = math.sqrt(0.05**2 + 0.1**2 / 10)
    samples = sigma * np.random.default_rng(1).standard_normal((4000, blocks))
    low, high = median_bounds(samples)
    assert np.mean(high - low) / 2 == pytest.approx(0.03, rel=0.1)
    assert each.blocks(10, precision=0.5) == FEWEST_BLOCKS
    assert each.blocks(10, precision=0.0001) == MOST_BLOCKS + 1


def test_a_plan_gives_all_what_one_needs(tmp_path):
    run = varying(tmp_path, 0.05, 0.3)
    made = plan(run, 0.02, run.manifest.specification)
    (each,) = made.components
    (cell,) = made.specification.cells
    assert cell.workload["duration_s"] == pytest.approx(each.repetitions(100) / 10)
    assert cell.workload["duration_s"] > CELL.workload["duration_s"]
    assert cell.timeout_s > CELL.timeout_s
    assert made.specification.blocks == made.needs[CELL.id, "a"]
    assert made.specification.precision == 0.02
    assert made.specification.budget_s is None
    assert not made.out_of_reach
    assert plan_table(made).row_count == 1
    beyond = plan(run, 0.001, run.manifest.specification)
    assert beyond.specification.blocks == MOST_BLOCKS
    assert beyond.out_of_reach == [f"a in {CELL.id}"]


def test_elections_are_repeated_in_a_process_and_failovers_are_not(tmp_path):
    rng = np.random.default_rng(4)
    elections, failover = election_cell((150, 300), elections=5), failover_cell()
    run = Run.create(tmp_path, manifest(["a"], [elections, failover], blocks=20))
    for block in range(20):
        times = (2e8 * np.exp(0.3 * rng.standard_normal(5))).astype(int).tolist()
        held = [
            {
                **dict.fromkeys(("crashed", "term", "leader", "candidacies"), 1),
                "crash_ns": 0,
                "candidate_ns": 1,
                "leader_ns": time,
                "settled_ns": time,
                "leader_term": 2,
            }
            for time in times
        ]
        run.trials.append(process(elections, block, "a", result={"elections": held}))
        outage = {
            "started_ns": 0,
            "crash_ns": 1,
            "candidate_ns": 2,
            "leader_ns": 3,
            **dict.fromkeys(("crashed", "leader", "commands", "retries"), 1),
            "ended_ns": 10**12,
            "client": "",
            "slices": [],
            "acknowledged": [1],
            "first_ns": times[0],
        }
        run.trials.append(process(failover, block, "a", result=outage))
    made = plan(run, 0.1, run.manifest.specification)
    found = {each.cell: each for each in made.components}
    assert found[elections.id].within == pytest.approx(0.3, rel=0.2)
    assert found[failover.id].within is None
    assert found[failover.id].between == pytest.approx(0.3, rel=0.5)
    assert made.specification.cells[0].workload["elections"] > 5
    assert made.specification.cells[1] == failover


def test_what_the_pilot_tells_nothing_of_stays_as_it_is(tmp_path):
    run = Run.create(tmp_path, manifest(["a"], [CELL], blocks=9))
    made = plan(run, 0.02, run.manifest.specification)
    assert made.components == []
    assert made.specification == msgspec.structs.replace(run.manifest.specification, precision=0.02)


@pytest.mark.parametrize(("text", "value"), [("2%", 0.02), ("0.05", 0.05), ("0.5%", 0.005)])
def test_precisions_are_read(text, value):
    assert read_precision(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "%", "much", "0", "100%", "-2%", "nan"])
def test_what_is_no_precision_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read_precision(text)
