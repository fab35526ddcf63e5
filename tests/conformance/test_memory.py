"""A cluster under load needs no more memory after a long time than after a short one.

`--soak-seconds` says how long; the nightly setting is half an hour.
"""

from __future__ import annotations

import contextlib
import statistics
from concurrent.futures import Future, wait
from typing import Any

import psutil
import pytest

from raftmark.bench.contenders.contender import Contender

from .conftest import StartCluster

pytestmark = [pytest.mark.level("survives"), pytest.mark.needs("replicate", "snapshot")]

# No election may end the run, however busy the machine is with other things.
STUBBORN: dict[str, Any] = {"election_timeout_ms": [5000, 6000], "heartbeat_ms": 200}
MIB = 2**20
SAMPLES = 60
# What the heaps of four runtimes may differ by from one moment to the next.
ALLOWANCE = 1.15
ALLOWANCE_BYTES = 8 * MIB


def memory(contender: Contender) -> int:
    """Return what the contender's processes hold, what they share counted once (bytes)."""
    root = psutil.Process(contender.pid)
    total = 0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


def sample(contender: Contender, run: Future[dict[str, object]], every_s: float) -> list[int]:
    """Look at the memory now and then until the run is over."""
    samples = []
    while not run.done():
        samples.append(memory(contender))
        wait([run], timeout=every_s)
    return samples


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_memory_is_flat(
    start: StartCluster,
    contender_name: str,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds: float = pytestconfig.option.soak_seconds
    cluster = start(3, **STUBBORN, snapshot_entries=4096)
    cluster.elected_leader()
    workload = {"name": "replicate", "outstanding": 16, "warmup_s": 0, "duration_s": seconds}
    run = cluster.contender.send("run", workload=workload)
    samples = sample(cluster.contender, run, seconds / SAMPLES)
    commands = run.result()["commands"]
    settled = samples[len(samples) // 5 :]
    quarter = len(settled) // 4
    early, late = statistics.median(settled[:quarter]), statistics.median(settled[-quarter:])
    with capsys.disabled():
        print(
            f"\n{contender_name}: {commands:,} commands in {seconds:g} s,"
            f" {early / MIB:.1f} MiB early, {late / MIB:.1f} MiB late"
        )
    # Without compaction each command costs some hundred bytes in every node.
    assert commands * 300 > ALLOWANCE_BYTES + (ALLOWANCE - 1) * early, "too short to tell"
    assert late <= ALLOWANCE * early + ALLOWANCE_BYTES, [round(s / MIB, 1) for s in samples]
