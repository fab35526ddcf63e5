"""The same workload through the harness and by hand: that both can be had and compared.

What the ratio is, timing decides, and so no test:
`python -m tests.bench.experiment.overhead` prints it.
"""

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.design.cells import replicate_cell

from .overhead import measure_overhead


@pytest.mark.slow
def test_the_same_workload_by_hand_can_be_compared(tmp_path):
    cell = replicate_cell(8, warmup_s=0.05, duration_s=0.1)
    cell.cluster["election_timeout_ms"] = [1000, 2000]
    found = measure_overhead(load_contenders()["asyncio"], cell, 2, tmp_path)
    assert len(found.harness) == len(found.by_hand) == 2
    assert 0 < found.ratio.low <= found.ratio.value <= found.ratio.high
