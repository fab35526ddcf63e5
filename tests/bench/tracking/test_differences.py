"""How a pair of trials differs: by the middle pair of turns, and by all of them."""

import math

import msgspec
import pytest

from raftmark.bench.analysis.metrics import CPU_PER_COMMAND, LATENCY_P50, THROUGHPUT
from raftmark.bench.design.cells import turns_cell
from raftmark.bench.runs.forms import CheckOutcome, Cost, Trial
from raftmark.bench.runs.store import now
from raftmark.bench.runs.turns import SETTLING_NS
from raftmark.bench.tracking.differences import differences

CELL = turns_cell(2, warmup_s=0, duration_s=1)
MS = 1_000_000
SETTLED = SETTLING_NS // MS


def trial_of(counts, begin_ms):
    """Return a trial with turns of 20 ms, every 40 ms, in which so much was counted."""
    begins = [begin_ms + 40 * place for place in range(len(counts))]
    slices = []
    for begin, count in zip(begins, counts, strict=True):
        slices += [[(begin + SETTLED) * MS, 1], [(begin + 20) * MS, count]]
    commands = sum(count for _, count in slices)
    return Trial(
        trial="t",
        cell=CELL.id,
        block=0,
        order=0,
        contender="a",
        status="ok",
        failure=None,
        result={
            "workload": "replicate",
            "node": 1,
            "client": "",
            "started_ns": 0,
            "ended_ns": slices[-1][0],
            "commands": commands,
            "latency_ns": [[1000, commands]],
            "slices": slices,
            "acknowledged": [commands],
            "counters": {},
        },
        check=CheckOutcome(True, [], commands),
        cost=Cost(1.0, 1, 1, 1),
        machine=None,
        started_at=now(),
        duration_s=1.0,
        turns=[(begin * MS, (begin + 20) * MS) for begin in begins],
    )


def test_one_torn_turn_is_in_the_whole_and_not_in_what_is_typical():
    base = trial_of([100, 100, 100, 100, 100], begin_ms=0)
    head = trial_of([90, 90, 90, 90, 10], begin_ms=20)
    found = differences(CELL, base, head)[THROUGHPUT]
    assert found.difference.typical == pytest.approx(math.log(100 / 90))
    assert found.difference.whole == pytest.approx(math.log(500 / 370))
    assert found.head / found.base == pytest.approx(370 / 500)


def test_turns_that_were_taken_with_others_are_not_compared_turn_by_turn():
    base = trial_of([100, 100, 10], begin_ms=0)
    found = differences(CELL, base, trial_of([90, 90, 90], begin_ms=20), in_turns=False)
    difference = found[THROUGHPUT].difference
    assert difference.typical == difference.whole == pytest.approx(math.log(210 / 270))


def test_other_figures_have_one_difference_and_a_failed_trial_none():
    base, head = trial_of([100, 100], begin_ms=0), trial_of([50, 50], begin_ms=20)
    found = differences(CELL, base, head)
    assert {*found} >= {THROUGHPUT, LATENCY_P50, CPU_PER_COMMAND}
    for metric in (LATENCY_P50, CPU_PER_COMMAND):
        typical, whole = found[metric].difference
        assert typical == whole
    failed = msgspec.structs.replace(head, status="failed", result=None)
    assert differences(CELL, base, failed) == {}
