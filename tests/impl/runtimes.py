"""The three runtimes as `raft.cluster.Cluster`, with what a test needs to look at them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import uvloop

from raftmark.impl_asyncio.cluster import AsyncioCluster
from raftmark.impl_multiprocessing.cluster import ProcessCluster
from raftmark.impl_threading.cluster import ThreadCluster
from raftmark.raft import Command, Role
from raftmark.raft.client import Applied, Outcome, Value
from raftmark.raft.cluster import (
    Cluster,
    ClusterConfig,
    ClusterFactory,
    Events,
    NodeStatus,
    RoleChange,
)
from raftmark.raft.errors import RaftError
from tests.raft.scenario import settings_of

T = TypeVar("T")

FACTORIES: dict[str, ClusterFactory] = {
    "threading": ThreadCluster,
    "asyncio": AsyncioCluster,
    "uvloop": partial(AsyncioCluster, new_loop=uvloop.new_event_loop),
    "multiprocessing": ProcessCluster,
}

# Far beyond what anything needs on a busy machine: it only ends a hang.
DEADLINE_S = 60.0


class Hang(AssertionError):
    """What had to happen did not."""


class Watched:
    """A cluster and all that it has told, in order."""

    def __init__(
        self,
        factory: ClusterFactory,
        nodes: int = 3,
        data_dir: Path | None = None,
        election_timeout_s: float = 0.15,
    ) -> None:
        storage = "memory" if data_dir is None else "disk"
        directory = None if data_dir is None else str(data_dir)
        low_ns = int(election_timeout_s * 1e9)
        # Without snapshots, as some tests read the whole log.
        settings = settings_of(nodes)._replace(
            election_timeout_ns=(low_ns, low_ns * 3 // 2), snapshot_entries=0
        )
        config = ClusterConfig(settings, storage, directory, seed=7)
        self.nodes = config.settings.nodes
        self.roles: list[RoleChange] = []
        self.failures: list[tuple[int, Exception]] = []
        self._changed = threading.Condition()
        self.cluster: Cluster = factory(config, Events(self._role_changed, self._failed))

    def _role_changed(self, change: RoleChange) -> None:
        with self._changed:
            self.roles.append(change)
            self._changed.notify_all()

    def _failed(self, node: int, error: Exception) -> None:
        with self._changed:
            self.failures.append((node, error))
            self._changed.notify_all()

    def changed(self) -> None:
        """Let those look again who wait for something that the test itself changes."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], T]) -> T:
        """Wait until events, or `changed`, have made `condition` true; its value."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(condition()), DEADLINE_S):
                raise Hang(f"roles {self.roles}, failures {self.failures}")
            return condition()

    def leader(self, among: set[int] | None = None) -> int:
        """Wait until `among` (default: all) follow one leader of theirs in one term."""
        nodes = set(self.nodes) if among is None else among

        def agreed() -> int | None:
            views = {n: view for view in self.roles if (n := view.node) in nodes}
            leaders = {(view.leader, view.term) for view in views.values()}
            if len(views) == len(nodes) and len(leaders) == 1:
                [(leader, _)] = leaders
                return leader if leader in nodes else None
            return None

        leader = self.wait_for(agreed)
        assert leader is not None
        return leader

    def noted(self, heard: list[T]) -> Callable[[T], None]:
        """Who adds what it hears to a list, and lets those look again who wait for that."""

        def note(value: T) -> None:
            heard.append(value)
            self.changed()

        return note

    def submit(self, node: int, command: Command) -> list[Outcome]:
        """Submit a command; a list to which its outcome is added when it comes."""
        heard: list[Outcome] = []
        self.cluster.submit(node, command, self.noted(heard))
        return heard

    def await_applied(self, node: int, index: int) -> None:
        """Wait until a node, which may hang until then, has applied an entry."""
        heard: list[Value | RaftError] = []
        self.cluster.when_applied(node, index, self.noted(heard))
        self.wait_for(partial(bool, heard))
        assert isinstance(heard[0], Value)

    def apply(self, command: Command, among: set[int] | None = None) -> Applied:
        """Submit a command until it is applied: leaders may change on a busy machine."""
        while True:
            heard = self.submit(self.leader(among), command)
            self.wait_for(partial(bool, heard))
            if isinstance(heard[0], Applied):
                return heard[0]

    def commit(self, value: str, among: set[int] | None = None) -> Applied:
        """Set a key."""
        return self.apply(Command("set", "key", value), among)

    def isolate_leader(self) -> int:
        """Cut a leader off from all others. It goes on to lead, and commits nothing."""
        while True:
            leader = self.leader()
            others = [n for n in self.nodes if n != leader]
            self.cluster.partition([[leader], others])
            # What was under way when the links were cut has come by the second look.
            if [self.cluster.status(leader).role for _ in range(2)][-1] == "leader":
                return leader
            self.cluster.partition(None)

    def statuses(self, condition: Callable[[dict[int, NodeStatus]], bool]) -> dict[int, NodeStatus]:
        """Ask for the status of all nodes until it meets a condition, of which nobody tells."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            statuses = {n: self.cluster.status(n) for n in self.nodes}
            if condition(statuses):
                return statuses
        raise Hang(f"{statuses}")

    def agree(self) -> dict[int, NodeStatus]:
        """Wait until all nodes have applied the same, and check that it is the same."""
        statuses = self.statuses(
            lambda s: len({(v.applied_index, v.last_index) for v in s.values()}) == 1
        )
        assert len({(view.state_hash, view.log_hash) for view in statuses.values()}) == 1
        return statuses

    def terms_led(self) -> list[int]:
        """The terms for which a leader was announced."""
        return [change.term for change in self.roles if change.role is Role.LEADER]


@contextmanager
def running(
    factory: ClusterFactory,
    nodes: int = 3,
    data_dir: Path | None = None,
    election_timeout_s: float = 0.15,
) -> Iterator[Watched]:
    """A cluster from its start to its stop."""
    watched = Watched(factory, nodes, data_dir, election_timeout_s)
    watched.cluster.start()
    try:
        yield watched
    finally:
        watched.cluster.stop()


class Holdings(dict[str, list[str]]):
    """What this process holds: threads, processes, open files."""

    @classmethod
    def now(cls) -> Holdings:
        """What it holds at this moment."""
        files = []
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                files.append(f"{descriptor} {os.readlink(f'/proc/self/fd/{descriptor}')}")
            except FileNotFoundError:
                continue  # That of the listing itself.
        return cls(
            threads=sorted(thread.name for thread in threading.enumerate()),
            processes=sorted(str(child.pid) for child in psutil.Process().children(recursive=True)),
            files=sorted(files),
        )


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process and its children grow beyond `size`: a disk that is full."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    before = [process.rlimit(psutil.RLIMIT_FSIZE) for process in processes]
    for process, (_, hard) in zip(processes, before, strict=True):
        process.rlimit(psutil.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        for process, limits in zip(processes, before, strict=True):
            process.rlimit(psutil.RLIMIT_FSIZE, limits)
