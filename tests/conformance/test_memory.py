"""A cluster under load needs no more memory after a long time than after a short one.

`--soak-seconds` says how long; the nightly setting is half an hour.
"""

from __future__ import annotations

import contextlib
import statistics
from concurrent.futures import wait
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
# What each command costs, in all nodes together, without compaction: some hundred bytes in each.
KEPT_BYTES = 300


def memory(contender: Contender) -> int:
    """Return what the contender's processes hold, what they share counted once (bytes)."""
    root = psutil.Process(contender.pid)
    total = 0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


def load(contender: Contender, session: str, seconds: float) -> tuple[int, list[int]]:
    """Give it something to do for so long; how many commands it did, and its memory meanwhile."""
    workload = {"name": "replicate", "outstanding": 16, "session": session}
    run = contender.send("run", workload=workload | {"warmup_s": 0, "duration_s": seconds})
    samples = []
    while not run.done():
        samples.append(memory(contender))
        wait([run], timeout=seconds / SAMPLES)
    return run.result()["commands"], samples


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
    commands, samples = 0, list[int]()
    early = late = 0.0
    # A busy machine needs longer until so much is done that it would show if it were kept.
    while commands * KEPT_BYTES <= ALLOWANCE_BYTES + (ALLOWANCE - 1) * early:
        done, seen = load(cluster.contender, f"after-{commands}", seconds)
        assert done, f"no command in {seconds:g} s"
        commands += done
        samples += seen
        settled = samples[len(samples) // 5 :]
        quarter = len(settled) // 4
        early, late = statistics.median(settled[:quarter]), statistics.median(settled[-quarter:])
    with capsys.disabled():
        print(
            f"\n{contender_name}: {commands:,} commands,"
            f" {early / MIB:.1f} MiB early, {late / MIB:.1f} MiB late"
        )
    assert late <= ALLOWANCE * early + ALLOWANCE_BYTES, [round(s / MIB, 1) for s in samples]
