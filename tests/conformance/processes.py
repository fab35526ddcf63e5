"""What a contender holds of the machine: processes, threads, open files, time and memory."""

from __future__ import annotations

import os
import re
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


def survivors(processes: list[psutil.Process], deadline_s: float) -> list[psutil.Process]:
    """Return those of `processes` that still run after at most `deadline_s` seconds."""
    left = processes
    for _ in looks(deadline_s):
        left = [process for process in left if _runs(process)]
        if not left:
            break
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time that these processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def memory_bytes(pid: int) -> int:
    """Return the resident memory of the process and its descendants."""
    return sum(int(process.memory_info().rss) for process in tree(pid))
