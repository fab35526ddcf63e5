"""The simulation of the gate's error rates: that it does what the gate does."""

import numpy as np
import pytest

from raftmark.bench.analysis.sequential import Verdict, confidence_sequence, judge
from raftmark.bench.tracking.compare import Compared, Plan
from raftmark.bench.tracking.rates import blocks_of, draw, judge_all

THROUGHPUT, CPU, MEMORY = (
    Compared("a", cell, metric)
    for cell, metric in (("w", "throughput"), ("w", "cpu_per_command"), ("e", "peak_memory"))
)
PLAN = Plan("old", "new", 0.05, 0.05, {"a": "A"}, [THROUGHPUT, CPU, MEMORY], [], [], [])


def outcomes(gate):
    """What the gate itself says of these differences, block after block."""
    intervals = [
        confidence_sequence(gate[: block + 1], PLAN.error_each) for block in range(len(gate))
    ]
    verdicts = [judge(interval, PLAN.margin) for interval in intervals]
    same = next((b + 1 for b, v in enumerate(verdicts) if v is Verdict.SAME), None)
    slower = next((b + 1 for b, v in enumerate(verdicts) if v is Verdict.SLOWER), None)
    return slower if same is None or (slower or same) < same else None, same


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.2])
def test_simulated_verdicts_are_the_gates(shift):
    gates = shift + 0.02 * np.random.default_rng(1).standard_t(3, (2, 24))
    simulated = judge_all(gates, PLAN)
    for gate, slower, same in zip(gates, *simulated, strict=True):
        expected = outcomes(gate)
        assert (slower if slower < 1000 else None, same if same < 1000 else None) == expected


def test_drawn_gates_have_the_noise_and_no_difference():
    noise = {1: 0.5, 2: -0.25, 4: 0.125}
    differences = {THROUGHPUT: noise, CPU: {**noise, 9: 7.0}, MEMORY: dict.fromkeys(noise, 0.0)}
    assert blocks_of(differences) == [1, 2, 4]
    gates = draw(differences, np.random.default_rng(1))
    assert set(np.unique(np.abs(gates[THROUGHPUT]))) == {0.125, 0.25, 0.5}
    assert abs(np.sign(gates[THROUGHPUT]).mean()) < 0.03
    # Figures of one pair of trials go together, as they were measured together.
    assert (gates[CPU] == gates[THROUGHPUT]).all()
    assert not gates[MEMORY].any()
