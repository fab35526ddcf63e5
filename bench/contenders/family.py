"""The processes of a contender: its own and all that it has started, found and killed.

Membership of a session, a mark in the environment and an inherited pipe, unlike parentage, survive
the death of a parent. Only what has done away with all three is not found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence

import psutil

from raftmark.bench.contenders.complaints import readable
from raftmark.bench.contenders.orphans import Mark

_MOST_NAMED = 5
_PATIENCE_S = 10.0


class Family:
    """A process that leads a session, and whatever came of it."""

    def __init__(self, process: subprocess.Popen[bytes], mark: Mark) -> None:
        """`process` has `mark` in its environment, and pipes as standard output and error."""
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._mark = mark
        self._pipes = {_file(process.stdout.fileno()), _file(process.stderr.fileno())}

    def pids(self) -> list[int]:
        """Return those that live, the first process before all others."""
        first = self._process.pid
        own = [] if self._process.poll() is not None else [first]
        return own + [pid for pid in psutil.pids() if pid != first and self._has(pid)]

    def wait_until_gone(self, deadline: float) -> list[int]:
        """Wait for the end of all; return those left at `deadline`, by the monotonic clock."""
        while True:
            left = self.pids()
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.005)

    def kill(self) -> list[int]:
        """Kill all, and return those that cannot be killed."""
        deadline = time.monotonic() + _PATIENCE_S
        # A process may fork while the list is made, so look again until none is left.
        while (left := self.pids()) and time.monotonic() <= deadline:
            for pid in left:
                _kill_group_of(pid)
            self.wait_until_gone(time.monotonic() + 0.5)
        return left

    def _has(self, pid: int) -> bool:
        if pid == os.getpid():
            return False
        try:
            ours = (
                os.getsid(pid) == self._process.pid
                or self._mark.is_on(pid)
                or not self._pipes.isdisjoint(_standard_files(pid))
            )
            return ours and not _is_over(psutil.Process(pid))
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False


def _is_over(process: psutil.Process) -> bool:
    """Whether it runs no more, though the system still knows it: on a busy machine for seconds."""
    return process.status() == psutil.STATUS_ZOMBIE or process.memory_info().vms == 0


def named(pids: Sequence[int]) -> str:
    """Return processes with what they run, as far as they still do."""
    names = []
    for pid in pids[:_MOST_NAMED]:
        with contextlib.suppress(psutil.NoSuchProcess):
            command = " ".join(psutil.Process(pid).cmdline())
            names.append(f"{pid} ({readable(command, 80)})")
    more = len(pids) - _MOST_NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _kill_group_of(pid: int) -> None:
    """Kill a process and its group: in one step, so that none of a group escapes by forking."""
    with contextlib.suppress(ProcessLookupError):  # It may end by itself meanwhile.
        group = os.getpgid(pid)
        os.kill(pid, signal.SIGKILL)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGKILL)


def _file(descriptor: int) -> tuple[int, int]:
    """Return what tells a file, or a pipe, from all others."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _standard_files(pid: int) -> set[tuple[int, int]]:
    """Return what a process has as standard output and error, as far as that can be seen."""
    found = set()
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            status = os.stat(f"/proc/{pid}/fd/{descriptor}")
            found.add((status.st_dev, status.st_ino))
    return found
