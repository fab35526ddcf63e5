"""Contenders that outlive their harness.

A contender ends when its standard input does, and so with its harness, even one that is killed. One
that has hung does not; and one that is just ending would still take processor time from whatever
is measured next. So each is started with the run's directory in its environment, which all that
it starts inherits, and is found by that.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

_VARIABLE = "RAFTMARK_RUN"
_PATIENCE_S = 10.0


def environment(run: Path) -> dict[str, str]:
    """Return the variables of a contender of the run in this directory, by which it is found."""
    return {_VARIABLE: str(run)}


def orphans(run: Path) -> list[psutil.Process]:
    """Return the processes that belong to the run in this directory, this one excepted."""
    return [process for process in psutil.process_iter() if _belongs_to(process, run)]


def end_orphans(run: Path) -> list[int]:
    """Kill what an earlier harness of this run left running; return the pids that do not end."""
    deadline = time.monotonic() + _PATIENCE_S
    # A process may fork while the list is made, so look again until none is left.
    while (found := orphans(run)) and time.monotonic() < deadline:
        for process in found:
            process.kill()
        psutil.wait_procs(found, timeout=1.0)
    return [process.pid for process in found]


def _belongs_to(process: psutil.Process, run: Path) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(_VARIABLE) == str(run)
    except psutil.Error:  # It has ended, or is another user's, or the system's.
        return False
