"""Processes that outlive those who started them, found by their environment.

A contender ends when its standard input does, and so with its harness, even one that is killed. One
that has hung does not; and one that is just ending would still take processor time from whatever
is measured next. So each is started with the run's directory in its environment, which all that
it starts inherits, and is found by that. What a contender itself leaves behind is found likewise,
by a mark that is its alone.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

_VARIABLE = "RAFTMARK_RUN"
_MARK = "RAFTMARK_CONTENDER"
_PATIENCE_S = 10.0


class Mark(NamedTuple):
    """A variable in the environment of a process, which all that it starts inherits."""

    text: str

    @classmethod
    def fresh(cls) -> Mark:
        """Return a mark that no process has yet."""
        return cls(uuid.uuid4().hex)

    def added_to(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with this mark."""
        return {**environment, _MARK: self.text}

    def is_on(self, pid: int) -> bool:
        """Whether a process has it, as far as its environment can be seen."""
        try:
            return psutil.Process(pid).environ().get(_MARK) == self.text
        except psutil.Error:  # It has ended, or is another user's, or the system's.
            return False


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
            with contextlib.suppress(psutil.NoSuchProcess):  # It may end by itself meanwhile.
                process.kill()
        psutil.wait_procs(found, timeout=1.0)
    return [process.pid for process in found]


def _belongs_to(process: psutil.Process, run: Path) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(_VARIABLE) == str(run)
    except psutil.Error:  # It has ended, or is another user's, or the system's.
        return False
