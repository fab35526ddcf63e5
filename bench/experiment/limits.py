"""What many connections take of a machine's limits: known before a trial, and said in words.

The node that leads has a file for each client and for each peer; so has the program of the clients.
Both raise their own limit as far as they may, so that it is the hard one that counts.
"""

from __future__ import annotations

import resource
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from raftmark.bench.design.specification import Cell

# Of files, those below 1,024 are not for clients in a node that waits by select; beside them a
# program has a few dozen of its own, as it has of threads.
_FILES_BESIDE = 1_024 + 128
_THREADS_BESIDE = 128
_MOST_THREADS = (
    "proc/sys/kernel/threads-max",
    "proc/sys/kernel/pid_max",
    "sys/fs/cgroup/pids.max",
)
_MAPS_A_THREAD = 2
"""Its stack, and the page that guards it."""


class Limit(NamedTuple):
    """So much of something is `needed`, of which there is `most`; None: there is no limit."""

    what: str
    needed: int
    most: int | None
    advice: str

    @property
    def holds(self) -> bool:
        """Whether there is enough."""
        return self.most is None or self.needed <= self.most

    def told(self, connections: int) -> str:
        """Say what is missing, and what to do about it."""
        most = "none" if self.most is None else f"{self.most:,}"
        return (
            f"{connections:,} connections need {self.needed:,} {self.what}; "
            f"the limit is {most}: {self.advice}"
        )


def limits_of(connections: int, root: Path = Path("/")) -> list[Limit]:
    """Return what so many connections need of each limit; `root` is where /proc and /sys are."""
    files = connections + _FILES_BESIDE
    threads = connections + _THREADS_BESIDE
    return [
        Limit("open files", files, open_files(), f"raise it with ulimit -n {files}"),
        Limit(
            "threads",
            threads,
            min(_threads(root), default=None),
            "raise ulimit -u, the sysctl kernel.threads-max, or the container's pids.max",
        ),
        Limit(
            "memory maps",
            _MAPS_A_THREAD * threads,
            _number(root / "proc/sys/vm/max_map_count"),
            f"sudo sysctl vm.max_map_count={2 * _MAPS_A_THREAD * threads}",
        ),
        Limit(
            "local ports",
            connections,
            _ports(root),
            "widen the sysctl net.ipv4.ip_local_port_range",
        ),
    ]


def exceeded(cell: Cell, root: Path = Path("/")) -> str | None:
    """Return which limit the clients of a cell are beyond, in words; None if they are beyond none.

    Threads are no matter of the cell's: most contenders have none for each client.
    """
    return _first_beyond(cell, ("open files", "local ports"), root)


def exceeded_by_threads(cell: Cell, root: Path = Path("/")) -> str | None:
    """The same, where each of the clients has a thread."""
    return _first_beyond(cell, ("threads", "memory maps"), root)


def _first_beyond(cell: Cell, whats: Collection[str], root: Path) -> str | None:
    connections = sum(
        int(cell.workload.get(kind, 0)) for kind in ("connections", "slow", "flood", "come")
    )
    for limit in limits_of(connections, root):
        if limit.what in whats and not limit.holds:
            return limit.told(connections)
    return None


def open_files() -> int | None:
    """Return how many files a program may have open, once it has raised its own limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def _threads(root: Path) -> Iterator[int]:
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if hard != resource.RLIM_INFINITY:
        yield hard
    for name in _MOST_THREADS:
        if (most := _number(root / name)) is not None:
            yield most


def _ports(root: Path) -> int | None:
    try:
        low, high = (
            (root / "proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
        )
    except OSError:
        return None
    return int(high) - int(low) + 1


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is none, or it says that there is no limit."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
