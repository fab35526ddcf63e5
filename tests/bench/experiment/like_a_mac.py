"""Runs a Python contender without what macOS lacks: `like_a_mac.py COUNTED MODULE`.

Its disk is synced as there, by F_FULLFSYNC, which Linux has not: fsync does what it asks for, and
each is counted as a byte in the file COUNTED.
"""

from __future__ import annotations

import fcntl
import os
import runpy
import sys
from multiprocessing import forkserver, reduction
from types import SimpleNamespace
from typing import Any

from raftmark.raft import storage

ITSELF = "tests.bench.experiment.like_a_mac"
FULL_SYNC = 51
COUNTED = "LIKE_A_MAC_COUNTED"
"""The variable by which a node's own process learns of that file."""

_control = fcntl.fcntl


def control(file: int, command: int, argument: Any = 0) -> Any:
    """Do what Linux's fcntl can, and F_FULLFSYNC."""
    if command != FULL_SYNC:
        return _control(file, command, argument)
    os.fsync(file)
    with open(os.environ[COUNTED], "ab") as counted:
        counted.write(b".")
    return 0


def take_away() -> None:
    """Let this process, and those that it forks, be on a Mac, as far as a contender can tell."""
    del os.fdatasync, os.sched_getaffinity, os.sched_setaffinity
    vars(fcntl).update(F_FULLFSYNC=FULL_SYNC, fcntl=control)
    # Its own `sys` only: what the interpreter does for a platform stays Linux's.
    vars(storage)["sys"] = SimpleNamespace(platform="darwin")
    # A file that is passed to another process has to be acknowledged there.
    vars(reduction)["ACKNOWLEDGE"] = True


take_away()

if __name__ == "__main__":
    _, os.environ[COUNTED], module = sys.argv
    preload = forkserver.set_forkserver_preload
    forkserver.set_forkserver_preload = lambda modules: preload([ITSELF, *modules])
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
