"""What a trial cost, and what else the machine did meanwhile.

Everything is read of all the contender's processes, right before and right after `run`, so that the
start of an interpreter is not counted; of those, too, that have left its tree.

CPU time is read to the nanosecond where the system has a clock for each process (Linux), and else
as finely as it tells. What children had used that have ended meanwhile comes in the system's ticks,
10 ms as a rule.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from raftmark.bench.runs.forms import Cost, MachineState

# Linux alone has it, and with it peaks, switches and pressures.
_PROC = Path("/proc")
_PRESSURES = ("cpu", "memory", "io")
_CPUCLOCK_SCHED = 2


class CostMeter:
    """Reads the cost of a contender's processes from its making to `cost()`."""

    def __init__(self, processes: Callable[[], Iterable[int]], *, memory: bool = True) -> None:
        """`processes` returns the pids of all that live at the time.

        What they hold in `memory` is read only if it is asked for, which takes milliseconds.
        """
        self._processes = processes
        self._memory = memory
        pids = list(processes())
        for pid in pids:
            _forget_peak(pid)
        self._before = _read(pids, memory)

    def cost(self) -> Cost:
        """Return the cost since this meter was made."""
        before, after = self._before, _read(self._processes(), self._memory)
        cpu_s = round(max(0.0, sum(r.cpu_s for r in after) - sum(r.cpu_s for r in before)), 9)
        if not _PROC.is_dir():
            return Cost(cpu_s, None, None, None)
        switched = {task: counts for reading in before for task, counts in reading.switches.items()}
        switches = [
            (now[0] - earlier[0], now[1] - earlier[1])
            for reading in after
            for task, now in reading.switches.items()
            for earlier in [switched.get(task, (0, 0))]
        ]
        return Cost(
            cpu_s,
            peak_rss_bytes=sum(reading.peak_rss_bytes for reading in after),
            voluntary_switches=sum(voluntary for voluntary, _ in switches),
            involuntary_switches=sum(involuntary for _, involuntary in switches),
            idle_memory_bytes=_sum(reading.memory_bytes for reading in before),
            end_memory_bytes=_sum(reading.memory_bytes for reading in after),
        )


class MachineMeter:
    """Reads the machine's state from its making to `state()`."""

    def __init__(self) -> None:
        self._before = psutil.cpu_times()
        self._started = time.monotonic()
        self._stalled = {resource: _read_stalled(resource) for resource in _PRESSURES}

    def state(self) -> MachineState:
        """Return the state over the time since this meter was made."""
        after = psutil.cpu_times()
        # What a guest has used is in the others already.
        spent = {
            field: max(0.0, getattr(after, field) - getattr(self._before, field))
            for field in after._fields
            if not field.startswith("guest")
        }
        total = sum(spent.values()) or 1.0
        busy = total - sum(spent.get(field, 0.0) for field in ("idle", "iowait", "steal"))
        return MachineState(
            load_1m=round(psutil.getloadavg()[0], 2),
            steal_share=round(spent["steal"] / total, 4) if "steal" in spent else None,
            busy_share=round(busy / total, 4),
            cpu_pressure=self._pressure("cpu"),
            memory_pressure=self._pressure("memory"),
            io_pressure=self._pressure("io"),
        )

    def _pressure(self, resource: str) -> float | None:
        before, after = self._stalled[resource], _read_stalled(resource)
        elapsed_us = 1e6 * (time.monotonic() - self._started)
        if before is None or after is None or not elapsed_us:
            return None
        # The kernel counts in steps of its own, so a short trial could seem to stall for longer.
        return round(min(1.0, (after - before) / elapsed_us), 4)


class _Reading(NamedTuple):
    """A process: CPU seconds, peak resident bytes, and the switches of each thread.

    `memory_bytes`: what it holds now, of pages that several share its part; None where the system
    does not tell, or was not asked.
    """

    cpu_s: float
    peak_rss_bytes: int
    memory_bytes: int | None
    switches: dict[str, tuple[int, int]]  # voluntary and involuntary, by the thread's directory


def _read(pids: Iterable[int], memory: bool) -> list[_Reading]:
    """Read these processes; one that has ended meanwhile is left out."""
    readings = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            readings.append(_read_process(psutil.Process(pid), memory))
    return readings


def _read_process(process: psutil.Process, memory: bool) -> _Reading:
    times = process.cpu_times()
    # The CPU time of children that have ended and were waited for is in their parent's.
    children_s = times.children_user + times.children_system
    if not _PROC.is_dir():
        return _Reading(times.user + times.system + children_s, 0, None, {})
    directory = _PROC / str(process.pid)
    # What the process's own file says of switches is only its main thread's.
    threads = {}
    for task in directory.glob("task/*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It has just ended.
            threads[str(task)] = _read_status(task)
    return _Reading(
        _read_cpu_ns(process.pid) / 1e9 + children_s,
        _read_status(directory / "status").get("VmHWM", 0) * 1024,
        _read_memory(directory / "smaps_rollup") if memory else None,
        {
            task: (status["voluntary_ctxt_switches"], status["nonvoluntary_ctxt_switches"])
            for task, status in threads.items()
        },
    )


def _read_cpu_ns(pid: int) -> int:
    """Return the CPU time of a process by its own clock, as clock_getcpuclockid(3) names it."""
    try:
        return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)
    except OSError as error:  # The clock is gone with the process.
        raise ProcessLookupError(pid) from error


def _forget_peak(pid: int) -> None:
    """Let a process's peak begin anew, where the system can (Linux); else it is since its start."""
    with contextlib.suppress(OSError):
        (_PROC / str(pid) / "clear_refs").write_text("5", encoding="ascii")


def _read_memory(path: Path) -> int | None:
    """Return the bytes that a process has in memory or swapped out, of shared pages its part."""
    try:
        sizes = _read_status(path)
    except PermissionError:  # Of a process that may not be looked into, such as another user's.
        return None
    return (sizes["Pss"] + sizes.get("SwapPss", 0)) * 1024 if "Pss" in sizes else None


def _sum(values: Iterable[int | None]) -> int | None:
    """Return the sum, None where one is not known."""
    known = list(values)
    return None if None in known else sum(value or 0 for value in known)


def _read_stalled(resource: str) -> int | None:
    """Return for how many microseconds since the start some process waited for a resource."""
    try:
        some, *_ = (_PROC / "pressure" / resource).read_text(encoding="ascii").splitlines()
    except OSError:  # Without CONFIG_PSI there is no such file; switched off, it cannot be read.
        return None
    return int(some.rpartition("total=")[2])


def _read_status(path: Path) -> dict[str, int]:
    """Return the numbers of a status file of /proc; sizes are in KiB."""
    fields = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {
        field[0].rstrip(":"): int(field[1])
        for field in fields
        if field[1:2] and field[1].isdecimal()
    }
