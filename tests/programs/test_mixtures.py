"""Clusters of real node programs: languages that mix, and one that takes another's place."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.programs.cluster import ProgramCluster
from raftmark.programs.launcher import Command
from raftmark.raft import Command as ClientCommand
from raftmark.raft.errors import Unavailable
from tests.impl.runtimes import Holdings, Watched, running

MODELS = ("asyncio", "go", "threading")


def command_of(name: str) -> Command:
    spec = load_contenders()[name]
    spec.prepare()
    return Command(name, spec.node_argv(), str(spec.started_in))


@pytest.fixture(scope="module")
def commands() -> list[Command]:
    return [command_of(name) for name in MODELS]


def program_of(cluster: Watched, node: int) -> psutil.Process:
    """The process of a node's program."""
    assert isinstance(cluster.cluster, ProgramCluster)
    return psutil.Process(cluster.cluster._programs[node]._pipe.pid)  # type: ignore[attr-defined]


def test_languages_change_one_by_one_while_the_cluster_runs(
    commands: list[Command], tmp_path: Path
) -> None:
    """The rewrite that people fear: each node's data goes on in another language."""
    before = Holdings.now()
    factory = partial(ProgramCluster, commands=commands)
    with running(factory, 3, tmp_path, election_timeout_s=0.5) as watched:
        cluster = watched.cluster
        assert isinstance(cluster, ProgramCluster)
        watched.commit("0")
        for node in watched.nodes:
            others = set(watched.nodes) - {node}
            cluster.crash(node)
            cluster.replace(node, commands[node % len(commands)])
            watched.commit(str(node), others)
            assert not cluster.restart(node)
            watched.commit(f"{node} is back")
            watched.agree()
        assert watched.apply(ClientCommand("get", "key")).result == "3 is back"
    assert Holdings.now() == before


def test_a_program_that_is_killed_is_a_crashed_node(commands: list[Command]) -> None:
    factory = partial(ProgramCluster, commands=commands)
    with running(factory, 3, election_timeout_s=0.5) as watched:
        watched.commit("0")
        program_of(watched, 2).kill()
        watched.wait_for(lambda: watched.failures)
        [(node, error)] = watched.failures
        assert node == 2
        assert str(error) == "the program of node 2 (go) ended with signal 9"
        with pytest.raises(Unavailable, match="ended with signal 9"):
            watched.cluster.status(2)
        assert watched.cluster.restart(2), "its memory went with it"
        watched.commit("1")
        watched.agree()


def test_a_program_that_hangs_is_killed_when_it_is_crashed(
    commands: list[Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = partial(ProgramCluster, commands=commands[:1])
    with running(factory, 3, election_timeout_s=0.5) as watched:
        leader = watched.leader()
        monkeypatch.setattr("raftmark.programs.program.ANSWER_S", 0.2)
        os.kill(program_of(watched, leader).pid, signal.SIGSTOP)
        with pytest.raises(Unavailable, match="does not answer"):
            watched.cluster.heartbeat(leader)
        watched.cluster.crash(leader)
        assert watched.failures == [], "it was asked for"
        monkeypatch.undo()
        others = set(watched.nodes) - {leader}
        watched.leader(others)
        assert watched.cluster.restart(leader)
        watched.commit("1")


def test_a_program_that_hangs_after_its_nodes_crash_holds_up_no_restart(
    commands: list[Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = partial(ProgramCluster, commands=commands[:1])
    with running(factory, 3, election_timeout_s=0.5) as watched:
        watched.cluster.crash(3)
        stopped = program_of(watched, 3).pid
        os.kill(stopped, signal.SIGSTOP)
        monkeypatch.setattr("raftmark.programs.program.ANSWER_S", 0.2)
        with pytest.raises(Unavailable, match="does not answer"):
            watched.cluster.status(3)
        monkeypatch.undo()
        assert watched.cluster.restart(3), "its memory went with it"
        assert program_of(watched, 3).pid != stopped
        watched.commit("1")
        watched.agree()
        assert watched.failures == []


def test_a_start_that_fails_leaves_nothing(commands: list[Command], tmp_path: Path) -> None:
    before = Holdings.now()
    broken = Command("broken", ["/no/such/program"])
    watched = Watched(partial(ProgramCluster, commands=[commands[0], broken]), 3, tmp_path)
    with pytest.raises(Unavailable, match=r"cannot start the program of node 2 \(broken\)"):
        watched.cluster.start()
    assert Holdings.now() == before
