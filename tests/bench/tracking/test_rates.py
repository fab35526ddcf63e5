"""The simulation of the gate's error rates: that it does what the gate does."""

import numpy as np

from raftmark.bench.tracking.differences import Difference
from raftmark.bench.tracking.plans import Compared
from raftmark.bench.tracking.rates import draw

THROUGHPUT, CPU, MEMORY = (
    Compared("a", cell, metric)
    for cell, metric in (("w", "throughput"), ("w", "cpu_per_command"), ("e", "peak_memory"))
)


def test_drawn_gates_have_the_noise_and_no_difference():
    noise = {1: Difference(0.5, 0.75), 2: Difference(-0.25, 0.5), 4: Difference(0.125, 0.0)}
    nothing = dict.fromkeys(noise, Difference(0.0, 0.0))
    differences = {THROUGHPUT: noise, CPU: {**noise, 9: Difference(7.0, 7.0)}, MEMORY: nothing}
    gates = draw(differences, np.random.default_rng(1))
    typical, whole = gates[THROUGHPUT]
    assert set(np.unique(np.abs(typical))) == {0.125, 0.25, 0.5}
    assert abs(np.sign(typical).mean()) < 0.03
    # What a pair showed goes together, as it was measured together.
    of = {0.5: 0.75, 0.25: -0.5, 0.125: 0.0}
    assert all(w == np.sign(t) * of[abs(t)] for t, w in zip(typical[0], whole[0], strict=True))
    assert (gates[CPU][0] == typical).all()
    assert not np.any(gates[MEMORY])
