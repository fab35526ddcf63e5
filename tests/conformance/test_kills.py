"""Killed at any moment, a contender loses nothing that it has acknowledged.

SIGKILL of everything, at random moments of start, election and load; then another life on the
same directory. `--kills N` kills each contender N times; a round of them shares a directory.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from .cluster import LIVELY, STEADY, ClusterUnderTest, Status
from .conftest import Launch
from .messages import LogEntry, LogPage, read
from .model import Store
from .streams import Load, Stream

pytestmark = [pytest.mark.level("survives"), pytest.mark.needs("disk")]

KILLS_A_ROUND = 10
STREAMS = 16


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kills" in metafunc.fixturenames:
        total = metafunc.config.option.kills
        rounds = {
            f"{n}": min(KILLS_A_ROUND, total - first)
            for n, first in enumerate(range(0, total, KILLS_A_ROUND))
        }
        metafunc.parametrize("kills", rounds.values(), ids=rounds)


@pytest.mark.slow
def test_whatever_was_acknowledged_outlives_every_kill(
    launch: Launch, tmp_path: Path, kills: int, seed: int, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(f"{seed}/{request.node.name}")
    streams = [Stream(f"stream-{n}") for n in range(STREAMS)]
    killed_s: list[float] = []
    for life in range(kills + 1):
        began = time.monotonic()
        contender = launch()
        cluster = ClusterUnderTest(
            contender,
            **chance.choice([LIVELY, STEADY]),
            snapshot_entries=chance.choice([0, 10, 100, 1000]),
            storage="disk",
            data_dir=str(tmp_path / "data"),
        )
        load = Load(contender, streams)
        # Now and then the kill comes while the nodes still find each other.
        if life == kills or chance.random() < 0.8:
            cluster.elected_leader()
            load.recover()
            check_replicas(cluster, {stream.name: stream for stream in streams})
        load.run(chance.uniform(0, 0.4), depth=chance.choice([1, 4, 16]))
        contender.kill()
        load.take_last_answers()
        killed_s.append(time.monotonic() - began)
    steps = sum(stream.acknowledged for stream in streams)
    print(f"{kills} kills, {steps} steps, {sum(killed_s) / len(killed_s):.2f} s a life")
    assert steps >= STREAMS, "or it tested nothing"


def check_replicas(cluster: ClusterUnderTest, streams: dict[str, Stream]) -> None:
    """Check that the nodes hold one state and one log, and in it only what was sent."""
    status = cluster.eventually("all nodes applied the same log", settled)
    [state_hash] = {node.state_hash for node in status.values()}
    logs = {node: log_of(cluster, status, node) for node in cluster.nodes}
    for log in logs.values():
        for entry in log.values():
            check_was_sent(entry, streams)
            assert all(other.get(entry.index, entry) == entry for other in logs.values())
        if 1 in log:
            store = Store(log.values())
            assert store.hash() == state_hash
            assert store.values == {
                name: str(stream.acknowledged)
                for name, stream in streams.items()
                if stream.acknowledged
            }


def settled(status: Status) -> Status | None:
    """Return the status if all nodes have applied the same log to its end."""
    ends = {
        end
        for node in status.values()
        for end in (node.last_index, node.commit_index, node.applied_index)
    }
    return status if len(ends) == 1 else None


def log_of(cluster: ClusterUnderTest, status: Status, node: int) -> dict[int, LogEntry]:
    """Return a node's entries by index, from the first that was not compacted."""
    entries: dict[int, LogEntry] = {}
    first, last = getattr(status[node], "first_index", 1), status[node].last_index
    assert last is not None
    while first <= last:
        asked = {"from": first, "to": last}
        page = read(LogPage, cluster.contender.call("log", node=node, **asked)).entries
        assert [entry.index for entry in page] == list(range(first, first + len(page)))
        assert page, f"no entries from {first} to {last}"
        entries |= {entry.index: entry for entry in page}
        first += len(page)
    return entries


def check_was_sent(entry: LogEntry, streams: dict[str, Stream]) -> None:
    """Check that an entry is a leader's own or what a stream has sent under its serial."""
    command = dict(entry.command)
    stream, serial = command.pop("client", None), command.pop("serial", None)
    if stream is None:
        assert command["op"] not in ("set", "get", "cas"), entry
    else:
        assert command == streams[stream].sent.get(serial), entry
