"""What a contender holds of the machine: processes, threads, open files, time and memory."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from typing import NamedTuple

import psutil

from .waiting import looks


class Footprint(NamedTuple):
    """What a process holds; equal footprints hold the same things."""

    children: tuple[str, ...]
    threads: int
    files: tuple[str, ...]


def footprint(pid: int) -> Footprint:
    """Return what the process holds now; a child not waited for still counts."""
    process = psutil.Process(pid)
    return Footprint(
        tuple(sorted(child.name() for child in process.children(recursive=True))),
        process.num_threads(),
        tuple(sorted(_open_files(pid))),
    )


def _open_files(pid: int) -> Iterable[str]:
    directory = f"/proc/{pid}/fd"
    for number in os.listdir(directory):
        try:
            target = os.readlink(f"{directory}/{number}")
        except FileNotFoundError:  # Closed since the directory was read.
            continue
        # A pipe made anew has another number, yet is no more than the one before.
        yield re.sub(r"\[\d+\]", "", target)


def tree(pid: int) -> list[psutil.Process]:
    """Return the process and all its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those of `processes` that run now."""
    return [each for each in processes if _state(each) not in (None, psutil.STATUS_ZOMBIE)]


def left_behind(processes: list[psutil.Process], grace_s: float) -> list[psutil.Process]:
    """Return those of `processes` that run on when none was on its way for `grace_s` seconds.

    Who uses a processor, or waits for one or for a disk, may yet end: on a busy machine late.
    """
    left, moved_s = processes, time.monotonic()
    for _ in looks():
        left, now_s = survivors(left), time.monotonic()
        if any(map(_moves, left)):
            moved_s = now_s
        if not left or now_s - moved_s > grace_s:
            break
    return left


def _moves(process: psutil.Process) -> bool:
    return _state(process) in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)


def _state(process: psutil.Process) -> str | None:
    """Return what the kernel says that it does, None if it is gone."""
    try:
        return str(process.status()) if process.is_running() else None
    except psutil.NoSuchProcess:
        return None


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time that these processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def memory_bytes(pid: int) -> int:
    """Return the resident memory of the process and its descendants."""
    return sum(int(process.memory_info().rss) for process in tree(pid))
