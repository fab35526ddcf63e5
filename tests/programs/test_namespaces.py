"""Node programs on a network of their own, whose links really go down."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from raftmark.bench.contenders.registry import load_contenders
from raftmark.programs.cluster import ProgramCluster
from raftmark.programs.launcher import Command
from tests.impl.runtimes import Holdings, running

from .namespaces import Namespaces, NotAllowedError, namespaces

MODELS = ("go", "asyncio", "threading")


@pytest.fixture
def network() -> Iterator[Namespaces]:
    try:
        with namespaces(len(MODELS)) as network:
            yield network
    except NotAllowedError as error:
        pytest.skip(f"no network namespaces here: {error}")


def commands(*options: str) -> list[Command]:
    table = load_contenders()
    for name in MODELS:
        table[name].prepare()
    return [
        Command(name, [*table[name].node_argv(), *options], str(table[name].started_in))
        for name in MODELS
    ]


def test_a_link_that_goes_down_and_comes_back(network: Namespaces, tmp_path: Path) -> None:
    """The leader's link is cut, and nobody is told: the others go on, and it joins them again."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"known to all of the nodes\n")
    before = Holdings.now()
    factory = partial(
        ProgramCluster, commands=commands("--secret-file", str(secret)), launcher=network
    )
    with running(factory, len(MODELS), election_timeout_s=0.5) as watched:
        watched.commit("0")
        leader = watched.leader()
        network.set_link(leader, "down")
        others = {*watched.nodes} - {leader}
        watched.commit("1", others)
        network.set_link(leader, "up")
        watched.commit("2")
        watched.agree()
        assert watched.failures == []
    assert Holdings.now() == before
