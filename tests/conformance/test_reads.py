"""A read without an entry in the log sees the latest state, or is not answered with a value."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from raftmark.bench.contenders.contender import ContenderError

from .clients import BusyClients, check_nothing_lost
from .cluster import LIVELY, STEADY, ClusterUnderTest, set_
from .conftest import StartCluster
from .messages import Value
from .waiting import DEADLINE_S

pytestmark = [pytest.mark.level("complete"), pytest.mark.needs("read")]


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_a_read_sees_the_latest_set_and_leaves_no_entry(start: StartCluster, nodes: int) -> None:
    cluster = start(nodes, **STEADY)

    def set_and_read(leader: int) -> None:
        for number in range(20):
            at = cluster.submit(set_("k", str(number)), node=leader).index
            seen = cluster.read("k", **({"node": leader} if number % 2 else {}))
            assert seen == Value(at, str(number))

    cluster.undisturbed(set_and_read)
    log = cluster.all_agree()
    assert {entry.command["op"] for entry in log} == {"noop", "set"}


@pytest.mark.parametrize("value", [None, "", "\0", "é😀" * 1000])
def test_a_read_tells_nothing_from_empty(start: StartCluster, value: str | None) -> None:
    cluster = start(**LIVELY)
    if value is not None:
        cluster.committed("ключ", value)
    assert cluster.read_value("ключ") == value


def test_many_reads_at_once_are_each_answered(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")

    def read_all(leader: int) -> None:
        replies = [cluster.contender.send("read", key="k", node=leader) for _ in range(500)]
        assert {reply.result(DEADLINE_S)["value"] for reply in replies} == {"1"}

    cluster.undisturbed(read_all)


def test_a_follower_reads_nothing_and_names_the_leader(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")

    def ask_followers(leader: int) -> None:
        for follower in cluster.others(leader):
            refusal = cluster.refused("not_leader", "read", key="k", node=follower)
            assert refusal.extra["leader"] == leader

    cluster.undisturbed(ask_followers)


def test_a_new_leader_sees_what_the_one_before_acknowledged(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    for number in range(5):
        cluster.committed("k", str(number))
        leader = cluster.elected_leader()
        cluster.crash(leader)
        assert cluster.read_value("k") == str(number)
        cluster.restart(leader)


@pytest.mark.parametrize(
    "check_quorum", [False, pytest.param(True, marks=pytest.mark.needs("check_quorum"))]
)
def test_an_isolated_old_leader_serves_no_stale_read(
    start: StartCluster, check_quorum: bool
) -> None:
    cluster = start(**LIVELY, check_quorum=check_quorum)
    cluster.committed("k", "old")
    leader = cluster.isolated_leader()
    majority = cluster.others(leader)
    pending = cluster.contender.send("read", key="k", node=leader, timeout_ms=600_000)
    cluster.committed("k", "new", through=majority)
    for _ in range(3):
        with pytest.raises(ContenderError) as refusal:
            cluster.read("k", node=leader, timeout_ms=100)
        assert refusal.value.code in ("timeout", "not_leader")
    assert cluster.read_value("k", through=majority) == "new"
    if not check_quorum:
        assert cluster.status()[leader].role == "leader", "or this tested nothing"
        assert not pending.done()
        cluster.heal()
    with pytest.raises(ContenderError) as lost:
        pending.result(DEADLINE_S)
    assert lost.value.code == "not_leader", "once it no longer leads it need not wait"


def test_a_leader_that_hears_nobody_reads_nothing(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")

    def deafen(leader: int) -> None:
        cluster.block(*((other, leader) for other in cluster.others(leader)))
        cluster.refused("timeout", "read", key="k", node=leader, timeout_ms=100)
        waiting = cluster.contender.send("read", key="k", node=leader, timeout_ms=600_000)
        cluster.heal()
        assert waiting.result(DEADLINE_S)["value"] == "1", "the next heartbeat is answered"

    cluster.undisturbed(deafen)


def test_reads_where_nobody_can_answer_are_unavailable(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    first = cluster.lonely_follower()
    for crashed in cluster.others(first):
        cluster.refused("unavailable", "read", key="k", node=crashed)
    cluster.refused("unavailable", "read", key="k")
    cluster.pause(first)
    cluster.refused("unavailable", "read", key="k", node=first)
    cluster.refused("unavailable", "read", key="k")
    cluster.stop()
    cluster.refused("unavailable", "read", key="k")


@pytest.mark.parametrize("end", ["crash", "stop"])
def test_pending_reads_are_answered_when_their_node_ends(start: StartCluster, end: str) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    leader = cluster.isolated_leader()
    waiting = [
        cluster.contender.send("read", key="k", node=leader, timeout_ms=600_000) for _ in range(20)
    ]
    if end == "crash":
        cluster.crash(leader)
    else:
        cluster.stop()
    for reply in waiting:
        with pytest.raises(ContenderError) as refusal:
            reply.result(DEADLINE_S)
        assert refusal.value.code == "unavailable"


def test_a_read_at_a_paused_node_hears_of_its_timeout(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    leader = cluster.isolated_leader()
    waiting = cluster.contender.send("read", key="k", node=leader, timeout_ms=300)
    cluster.pause(leader)
    with pytest.raises(ContenderError) as refusal:
        waiting.result(DEADLINE_S)
    assert refusal.value.code == "timeout"
    cluster.resume(leader)
    cluster.heal()
    assert cluster.read_value("k") == "1"


class BusyReaders:
    """Readers that see every counter at least where it was acknowledged before they asked."""

    def __init__(self, cluster: ClusterUnderTest, clients: BusyClients) -> None:
        self._cluster = cluster
        self._clients = clients
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        asked: list[dict[str, int]] = [{}, *({"node": node} for node in cluster.nodes)]
        self._threads = [threading.Thread(target=self._work, args=(each,)) for each in asked]
        self.answered = 0

    def __enter__(self) -> BusyReaders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: Any) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _work(self, asked: dict[str, int]) -> None:
        latest: dict[str, int] = {}
        try:
            while not self._stopping.is_set():
                for counter in self._clients.counters:
                    least = max(counter.acknowledged, latest.get(counter.name, 0))
                    try:
                        value = self._cluster.read(counter.name, timeout_ms=300, **asked).value
                    except ContenderError as error:
                        if error.code not in ("not_leader", "unavailable", "timeout"):
                            raise
                        continue
                    latest[counter.name] = int(value or 0)
                    assert latest[counter.name] >= least, f"{counter.name}: {value} after {least}"
                    self.answered += 1
        except BaseException as error:  # noqa: BLE001 (raised where the readers are awaited)
            self._errors.append(error)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check_quorum",
    [False, pytest.param(True, marks=pytest.mark.needs("check_quorum", "pre_vote"))],
)
def test_no_read_is_stale_while_leaders_change(
    start: StartCluster, seed: int, check_quorum: bool
) -> None:
    cluster = start(**LIVELY, seed=seed, check_quorum=check_quorum, pre_vote=check_quorum)
    chance = random.Random(seed)
    cluster.elected_leader()
    with BusyClients(cluster, 4) as clients, BusyReaders(cluster, clients) as readers:
        for _ in range(8):
            node = chance.choice(cluster.nodes)
            fault = chance.choice(["partition", "pause", "crash"])
            if fault == "partition":
                cluster.partition([node], cluster.others(node))
            else:
                cluster.crash(node) if fault == "crash" else cluster.pause(node)
            clients.wait_for_more(10)
            cluster.heal()
            if fault == "pause":
                cluster.resume(node)
            elif fault == "crash":
                cluster.restart(node)
            clients.wait_for_more(10)
    assert readers.answered > 0
    check_nothing_lost(cluster.all_agree(), clients.counters)
