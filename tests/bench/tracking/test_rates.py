"""The simulation of the gate's error rates: that it does what the gate does."""

import numpy as np

from raftmark.bench.tracking.plans import Compared
from raftmark.bench.tracking.rates import draw

THROUGHPUT, CPU, MEMORY = (
    Compared("a", cell, metric)
    for cell, metric in (("w", "throughput"), ("w", "cpu_per_command"), ("e", "peak_memory"))
)


def test_drawn_gates_have_the_noise_and_no_difference():
    noise = {1: 0.5, 2: -0.25, 4: 0.125}
    differences = {THROUGHPUT: noise, CPU: {**noise, 9: 7.0}, MEMORY: dict.fromkeys(noise, 0.0)}
    gates = draw(differences, np.random.default_rng(1))
    assert set(np.unique(np.abs(gates[THROUGHPUT]))) == {0.125, 0.25, 0.5}
    assert abs(np.sign(gates[THROUGHPUT]).mean()) < 0.03
    # Figures of one pair of trials go together, as they were measured together.
    assert (gates[CPU] == gates[THROUGHPUT]).all()
    assert not gates[MEMORY].any()
