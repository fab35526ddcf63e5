"""The open loop's sender as a process: what it says is true, and it leaves nothing behind."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time

import pytest

from raftmark.raft.workload.pacing import PROGRAM, Sender
from tests.raft.clock import MILLISECOND, SECOND


@pytest.mark.parametrize("rate", [500.0, 3_000_000.0])
def test_each_command_is_sent_once_it_is_due_and_not_before(rate: float) -> None:
    length_ns = 50 * MILLISECOND
    total = math.ceil(length_ns * rate / SECOND)
    sender = Sender(rate, total, length_ns)
    moments: list[int] = []
    while some := sender.read():
        moments += some
    over_ns = time.monotonic_ns()
    cpu_ns = sender.end()
    start_ns, *sent_ns = moments
    assert len(sent_ns) == total
    assert sent_ns == sorted(sent_ns)
    assert all(
        at_ns + 1 >= start_ns + n * SECOND / rate
        for n, at_ns in zip(range(total), sent_ns, strict=True)
    )
    assert over_ns >= start_ns + length_ns
    assert cpu_ns > 0


def test_a_sender_that_is_ended_early_has_ended() -> None:
    sender = Sender(1, 3600, 3600 * SECOND)
    assert len(sender.read()) >= 1
    sender.end()
    with pytest.raises(ProcessLookupError):
        os.kill(sender._process.pid, 0)


def test_a_sender_ends_when_nobody_reads_any_more() -> None:
    """Though its next command is due in a thousand seconds."""
    arguments = [sys.executable, "-I", "-S", str(PROGRAM), "0.001", "9", str(9000 * SECOND)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        for _ in ("its start", "the first command"):
            assert len(process.stdout.read(8)) == 8
        process.stdout.close()
        assert process.wait(60) == 0
