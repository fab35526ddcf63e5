"""A node's process may be killed, or stopped, at any moment: that is one crashed node."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pipe, forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from raftmark.impl_asyncio.cluster import AsyncioCluster
from raftmark.impl_multiprocessing import cluster as module
from raftmark.impl_multiprocessing import handle
from raftmark.impl_multiprocessing.cluster import ProcessCluster
from raftmark.impl_multiprocessing.process import NodeProcess
from raftmark.impl_multiprocessing.transport import Transport
from raftmark.impl_threading.cluster import ThreadCluster
from raftmark.raft import Command, Role
from raftmark.raft.client import Applied, Outcome, Query, Value
from raftmark.raft.cluster import Cluster, ClusterConfig, ClusterFactory
from raftmark.raft.errors import Lost, NotLeader, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.loads import ReplicateSpec
from tests.raft.scenario import settings_of

from .runtimes import DEADLINE_S, Holdings, Watched, running

CONFIG = ClusterConfig(settings_of(1))


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> None:
    """What the contender's main module starts, once, before any cluster."""
    forkserver.set_forkserver_preload(["raftmark.impl_multiprocessing.process"])
    forkserver.ensure_running()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for a process that hangs."""
    monkeypatch.setattr(module, "ANSWER_S", 0.5)
    monkeypatch.setattr(handle, "ANSWER_S", 0.5)
    monkeypatch.setattr(handle, "STOP_S", 0.5)


def process_of(cluster: Cluster, node: int) -> psutil.Process:
    assert isinstance(cluster, ProcessCluster)
    node_handle = cluster._nodes[node]
    assert isinstance(node_handle, handle.ProcessHandle)
    return psutil.Process(node_handle._process.pid)


def kill(watched: Watched, *nodes: int) -> None:
    """Kill nodes' processes, and wait until that is known."""
    before = len(watched.failures)
    for node in nodes:
        process_of(watched.cluster, node).kill()
    watched.wait_for(lambda: len(watched.failures) == before + len(nodes))
    assert {node for node, _ in watched.failures[before:]} == set(nodes)


def storages(tmp_path: Path) -> dict[str, Path | None]:
    return {"memory": None, "disk": tmp_path}


@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_a_killed_process_is_a_crashed_node_that_can_be_restarted(
    tmp_path: Path, storage: str
) -> None:
    with running(ProcessCluster, data_dir=storages(tmp_path)[storage]) as watched:
        watched.commit("before")
        last = watched.agree()[3].last_index
        kill(watched, 3)
        watched.commit("without", among={1, 2})
        # What is told to all does not fail for the one that is gone, and holds for the next.
        watched.cluster.partition([[1, 2], [3]])
        assert watched.cluster.restart(3) == (storage == "memory")
        kept = watched.cluster.status(3).last_index
        assert kept >= last if storage == "disk" else kept == 0
        watched.cluster.partition(None)
        watched.commit("after")
        watched.agree()


def test_all_processes_can_be_killed_at_once(tmp_path: Path) -> None:
    with running(ProcessCluster, data_dir=tmp_path) as watched:
        watched.commit("before")
        kill(watched, 1, 2, 3)
        for node in watched.nodes:
            assert watched.cluster.restart(node) is False
        watched.commit("after")
        assert watched.agree()[1].last_index >= 4


def test_a_process_is_killed_while_it_saves_again_and_again(tmp_path: Path) -> None:
    with running(ProcessCluster, data_dir=tmp_path) as watched:
        for life in range(3):
            leader = watched.leader()
            heard = [watched.submit(leader, Command("set", "k", f"{n}")) for n in range(200)]
            kill(watched, leader)
            watched.wait_for(lambda: all(heard))  # noqa: B023 (called before the next life)
            kinds = {type(outcome) for [outcome] in heard}
            latest = [change.role for change in watched.roles if change.node == leader][-1]
            # On a busy machine it may have been deposed before.
            deposed = set() if latest is Role.LEADER else {NotLeader, Lost}
            assert kinds <= {Applied, OutcomeUnknown, *deposed}, f"life {life}"
            watched.cluster.restart(leader)
        watched.commit("after")
        watched.agree()


def test_a_node_that_was_crashed_or_paused_when_its_process_was_killed() -> None:
    with running(ProcessCluster, 5) as watched:
        watched.commit("before")
        watched.cluster.pause(4)
        kill(watched, 4)
        watched.cluster.crash(5)
        process = process_of(watched.cluster, 5)
        process.kill()
        assert isinstance(watched.cluster, ProcessCluster)
        watched.cluster._nodes[5]._receiver.join()
        assert [node for node, _ in watched.failures] == [4], "node 5 had no life to lose"
        assert watched.cluster.restart(4)
        assert watched.cluster.restart(5)
        watched.commit("after")


def test_what_was_asked_of_a_killed_process_is_answered() -> None:
    with running(ProcessCluster) as watched, ThreadPoolExecutor(1) as thread:
        leader = watched.leader()
        run = thread.submit(watched.cluster.replicate, leader, ReplicateSpec(duration_ns=10**12))
        reads: list[Value | RaftError] = []
        commands: list[Outcome] = []
        watched.cluster.pause(leader)
        watched.cluster.submit(leader, Command("set", "k", "v"), watched.noted(commands))
        watched.cluster.read(leader, Query("k", watched.noted(reads)))
        kill(watched, leader)
        watched.wait_for(lambda: commands and reads)
        watched.cluster.read(leader, Query("k", reads.append))
        watched.cluster.submit(leader, Command("set", "k", "v"), commands.append)
        with pytest.raises(RaftError):  # As an election may have been before.
            run.result()
        with pytest.raises(Unavailable):
            watched.cluster.status(leader)
        assert [type(outcome) for outcome in commands] == [OutcomeUnknown, Unavailable]
        assert [type(outcome) for outcome in reads] == [Unavailable, Unavailable]


@pytest.mark.usefixtures("impatient")
def test_a_process_that_was_stopped_holds_nobody_up_and_can_be_crashed() -> None:
    with running(ProcessCluster) as watched:
        watched.commit("before")
        process_of(watched.cluster, 3).suspend()
        with pytest.raises(Unavailable, match="does not answer"):
            watched.cluster.status(3)
        watched.cluster.partition([[1, 2, 3]])
        missed = watched.commit("without", among={1, 2})
        process_of(watched.cluster, 3).resume()
        # Until it has said a word nobody waits for it, so that this alone may be asked.
        watched.await_applied(3, missed.log_index)
        process_of(watched.cluster, 3).suspend()
        watched.cluster.crash(3)
        assert watched.cluster.restart(3), "it was killed, and its memory is lost"
        watched.commit("after")


@pytest.mark.usefixtures("impatient")
def test_a_process_that_was_stopped_when_it_was_to_be_paused_does_not_stay_so() -> None:
    with running(ProcessCluster) as watched:
        watched.commit("before")
        process_of(watched.cluster, 3).suspend()
        with pytest.raises(Unavailable, match="does not answer"):
            watched.cluster.pause(3)
        missed = watched.commit("without", among={1, 2})
        process_of(watched.cluster, 3).resume()
        watched.await_applied(3, missed.log_index)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_takes_no_orders_is_one_crashed_node() -> None:
    with running(ProcessCluster) as watched:
        watched.commit("before")
        process_of(watched.cluster, 3).suspend()
        large = Command("set", "key", "x" * (1 << 16))
        heard = [watched.submit(3, large) for _ in range(100)]
        watched.wait_for(lambda: all(heard))
        kinds = {type(outcome) for [outcome] in heard}
        assert OutcomeUnknown in kinds
        assert kinds <= {OutcomeUnknown, Unavailable}
        watched.wait_for(lambda: watched.failures)
        assert [node for node, _ in watched.failures] == [3]
        watched.commit("without", among={1, 2})
        assert watched.cluster.restart(3), "its memory is lost"
        watched.commit("after")


@pytest.mark.usefixtures("impatient")
def test_processes_that_were_stopped_are_gone_when_the_cluster_is() -> None:
    with running(ProcessCluster) as watched:
        processes = [process_of(watched.cluster, node) for node in watched.nodes]
        for process in processes:
            process.suspend()
    assert not any(process.is_running() for process in processes)


def stay(_node_id: int, _config: object, control: Connection, _sockets: object) -> None:
    """Close the pipe, and do not end."""
    control.close()
    threading.Event().wait()


@pytest.mark.usefixtures("impatient")
def test_a_process_that_closes_its_pipe_and_stays_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handle, "run_node", stay)
    statuses: list[int | None] = []
    node = handle.ProcessHandle(
        1, CONFIG, {}, lambda node, value: None, lambda node, status: statuses.append(status)
    )
    node._receiver.join()
    assert statuses == [-signal.SIGKILL]
    node.end()


class Broken(Transport):
    """What a node has to its peers, where the system fails it."""

    def be_on_time(self) -> None:
        raise OSError("no more files")


def test_a_node_ends_in_silence_with_its_pipe_and_with_no_other_failure() -> None:
    ours, theirs = Pipe()
    ours.close()
    NodeProcess(1, CONFIG, theirs, partial(Transport, {})).run()
    ours, theirs = Pipe()
    broken = NodeProcess(1, CONFIG, theirs, partial(Broken, {}))
    with ours:
        ours.send((0, "resume", ()))
        with pytest.raises(OSError, match="no more files"):
            broken.run()
    assert theirs.closed


def test_a_killed_fork_server_is_started_again(tmp_path: Path) -> None:
    with running(ProcessCluster, data_dir=tmp_path) as watched:
        watched.commit("before")
        processes = [process_of(watched.cluster, node) for node in watched.nodes]
        forkserver.ensure_running()
        server: int = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        os.kill(server, signal.SIGKILL)
        # Until it is dead, and left for multiprocessing to find.
        os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
        watched.commit("as ever")
        kill(watched, 2)
        watched.cluster.restart(2)
        processes.append(process_of(watched.cluster, 2))
        watched.commit("after")
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.wait(DEADLINE_S)


# -- a machine that has no more ----------------------------------------------------------------


def no_more(allowed: int, error: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which fails once it was called so many times."""
    left = iter(range(allowed))

    def limited(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise error
        return real(*arguments, **named)

    return limited


MODELS: dict[str, ClusterFactory] = {
    "threading": ThreadCluster,
    "asyncio": AsyncioCluster,
    "multiprocessing": ProcessCluster,
}


@pytest.mark.parametrize("allowed", [0, 1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_a_cluster_for_which_the_machine_has_no_more_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str, allowed: int
) -> None:
    with running(MODELS[model], 1):
        pass  # What is imported or started once, is so now.
    before = Holdings.now()
    error = RuntimeError("can't start new thread")
    start = no_more(allowed, error, threading.Thread.start)
    monkeypatch.setattr(threading.Thread, "start", lambda thread: start(thread))
    if model == "multiprocessing":
        pairs = no_more(allowed, OSError(24, "Too many open files"), socket.socketpair)
        monkeypatch.setattr(socket, "socketpair", pairs)
    if model == "asyncio" and allowed:
        watched = Watched(MODELS[model], 3, tmp_path)
        watched.cluster.start()  # One thread is all that it needs.
        watched.cluster.stop()
    else:
        with pytest.raises(Unavailable, match="the machine has no"):
            Watched(MODELS[model], 3, tmp_path).cluster.start()
    monkeypatch.undo()
    assert Holdings.now() == before


@pytest.mark.parametrize("again", [True, False])
def test_a_node_for_which_there_was_no_thread_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    with running(ThreadCluster) as watched:
        watched.commit("before")
        watched.cluster.crash(3)
        with monkeypatch.context() as short:
            none = no_more(0, RuntimeError("can't start new thread"), threading.Thread.start)
            short.setattr(threading.Thread, "start", none)
            with pytest.raises(Unavailable, match="the machine has no"):
                watched.cluster.restart(3)
        watched.commit("without", among={1, 2})
        if again:
            watched.cluster.restart(3)
            watched.commit("after")
            watched.agree()
