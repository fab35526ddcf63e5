"""What a trial cost, and what else the machine did meanwhile.

CPU time and memory are read of the contender's whole process tree. The system counts context
switches a thread at a time and forgets those of threads that have ended, so they are taken from
`getrusage` once the contender and all its children have been waited for: over the whole life of
the contender, its start included.
"""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import msgspec
import psutil


class Cost(msgspec.Struct, frozen=True):
    """The resources of one trial.

    `cpu_s`: CPU seconds of the process tree during `run`, user and system. `peak_rss_bytes`: the
    sum over the processes alive after `run` of each one's peak resident size; pages that they
    share count once for each. The rest is over the contender's whole life.
    """

    cpu_s: float
    peak_rss_bytes: int
    life_cpu_s: float
    voluntary_switches: int
    involuntary_switches: int


class MachineState(msgspec.Struct, frozen=True):
    """The machine around one trial.

    `load_1m`: the load average at the trial's end. The shares are of all CPU time during the
    trial: taken by the hypervisor for others, and used by anybody here.
    """

    load_1m: float
    steal_share: float
    busy_share: float


class CostMeter:
    """Reads the cost of one contender; made before its launch.

    Only one contender may be measured at a time, and nothing else may be waited for meanwhile.
    """

    def __init__(self) -> None:
        self._before_life = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._run_cpu_s = 0.0
        self._peak_rss = 0

    def run_begins(self, pid: int) -> None:
        """Read the process tree of `pid` right before `run`."""
        self._run_cpu_s = -_tree_cpu(_tree(pid))

    def run_ended(self, pid: int) -> None:
        """Read it right after `run`."""
        tree = _tree(pid)
        self._run_cpu_s += _tree_cpu(tree)
        self._peak_rss = sum(map(_peak_rss, tree))

    def total(self) -> Cost:
        """Return the whole cost, once the contender has ended and was waited for."""
        before, after = self._before_life, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Cost(
            cpu_s=round(self._run_cpu_s, 3),
            peak_rss_bytes=self._peak_rss,
            life_cpu_s=round(
                after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3
            ),
            voluntary_switches=after.ru_nvcsw - before.ru_nvcsw,
            involuntary_switches=after.ru_nivcsw - before.ru_nivcsw,
        )


class MachineMeter:
    """Reads the machine's state from its making to `state()`."""

    def __init__(self) -> None:
        self._before = psutil.cpu_times()

    def state(self) -> MachineState:
        """Return the state over the time since this meter was made."""
        after = psutil.cpu_times()
        spent = {
            field: max(0.0, getattr(after, field) - getattr(self._before, field))
            for field in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
        }
        total = sum(spent.values()) or 1.0
        busy = total - spent["idle"] - spent["iowait"] - spent["steal"]
        return MachineState(
            load_1m=round(psutil.getloadavg()[0], 2),
            steal_share=round(spent["steal"] / total, 4),
            busy_share=round(busy / total, 4),
        )


def _tree(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):  # Its next call finds out that it has ended.
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _tree_cpu(tree: list[psutil.Process]) -> float:
    """Sum the CPU seconds of a tree; those of children that have ended are in their parent's."""
    seconds = 0.0
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def _peak_rss(process: psutil.Process) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0  # It has ended, and its memory with it.
