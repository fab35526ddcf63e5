"""A log is compacted without anyone missing what was in it (Raft paper, section 7)."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .clients import BusyClients
from .cluster import LIVELY, STEADY, ClusterUnderTest, Status, cas, get, set_
from .conftest import Contenders, StartCluster
from .messages import Snapshotted
from .waiting import DEADLINE_S

pytestmark = [pytest.mark.level("complete"), pytest.mark.needs("snapshot")]

# More items than go in two pieces of a snapshot.
MANY = 2100
# Slowly, one after the other, they are under way for longer than a machine stalls.
PIECES = 26


def fill(cluster: ClusterUnderTest, keys: int = MANY, *, prefix: str = "key") -> None:
    """Set so many keys, on whichever leader there is."""
    missing = [set_(f"{prefix}-{number}", str(number)) for number in range(keys)]
    while missing:
        cluster.elected_leader()
        asked = [
            (command, cluster.contender.send("submit", command=command, timeout_ms=30_000))
            for command in missing
        ]
        missing = [command for command, reply in asked if reply.exception(DEADLINE_S) is not None]


def compact_all(cluster: ClusterUnderTest) -> int:
    """Compact every running node's log, all to the same index, and return that."""
    last = cluster.all_agree()[-1].index
    running = [node.id for node in cluster.status().values() if node.alive]
    for node in running:
        assert cluster.snapshot(node).index >= last
    return last


@pytest.mark.needs("read")
def test_a_snapshot_takes_the_place_of_the_log(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**STEADY, **storage)
    for number in range(10):
        cluster.committed(f"key-{number % 3}", str(number))

    def compact(leader: int) -> None:
        log = cluster.all_agree()
        before = cluster.status()
        for node in cluster.nodes:
            taken = cluster.snapshot(node)
            assert taken == Snapshotted(log[-1].index, log[-1].term)
            assert cluster.log(node) == []
            after = cluster.status()[node]
            assert after.first_index == log[-1].index + 1
            assert after.snapshot_index == after.last_index == log[-1].index
            assert after.state_hash == before[node].state_hash
            assert cluster.snapshot(node) == taken, "nothing is new"

    cluster.undisturbed(compact)
    cluster.committed("key-0", "after")
    assert cluster.read_value("key-1") == "7"
    log = cluster.all_agree()
    assert log[0].index == 1, "the whole history was checked"
    assert all((node.first_index or 0) > 10 for node in cluster.status().values())


def test_before_any_entry_there_is_nothing_to_cover(start: StartCluster) -> None:
    cluster = start(election_timeout_ms=[60_000, 60_000])
    assert cluster.snapshot(1) == Snapshotted(0, 0)
    status = cluster.status()[1]
    assert (status.first_index, status.snapshot_index) == (1, 0)


def test_a_node_that_is_down_takes_no_snapshot(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    cluster.crash(1)
    cluster.refused("unavailable", "snapshot", node=1)
    cluster.pause(2)
    cluster.refused("unavailable", "snapshot", node=2)
    cluster.stop()
    cluster.refused("unavailable", "snapshot", node=3)


def test_a_snapshot_outlives_the_crash_of_all_nodes(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**LIVELY, **storage)
    for number in range(10):
        cluster.committed(f"key-{number}", str(number))
    compact_all(cluster)
    cluster.committed("after", "1")
    cluster.all_agree()
    before = cluster.status()
    for node in cluster.nodes:
        cluster.crash(node)
    for node in cluster.nodes:
        cluster.restart(node)
        after = cluster.status()[node]
        assert after.first_index == before[node].first_index
        assert after.snapshot_index == before[node].snapshot_index
    assert cluster.value_of("key-9") == "9"
    assert cluster.value_of("after") == "1"
    cluster.all_agree()


def test_sessions_outlive_the_log_that_made_them(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**LIVELY, **storage)
    anna, bert, carl = ({"client": name, "serial": 2} for name in ("anna", "bert", "carl"))
    cluster.committed("k", "0")
    assert cluster.insist(cas("k", "0", "1"), anna) is True
    assert cluster.insist(get("k"), bert) == "1"
    assert cluster.insist(cas("k", "0", "2"), carl) is False
    compact_all(cluster)
    for node in cluster.nodes:
        cluster.crash(node)
    for node in cluster.nodes:
        cluster.restart(node)
    cluster.committed("k", "0")
    assert cluster.insist(cas("k", "0", "1"), anna) is True
    assert cluster.insist(get("k"), bert) == "1"
    assert cluster.insist(cas("k", "0", "2"), carl) is False
    assert cluster.value_of("k") == "0", "no retry was applied again"
    cluster.undisturbed(
        lambda leader: cluster.refused(
            "bad_request", "submit", command=get("k"), node=leader, client="anna", serial=1
        )
    )
    cluster.all_agree()


# On disk


@pytest.mark.needs("disk")
def test_a_snapshot_shrinks_the_file(start: StartCluster, tmp_path: Path) -> None:
    cluster = start(1, **LIVELY, storage="disk", data_dir=str(tmp_path))
    for number in range(100):
        cluster.committed("k", f"{number} " + "x" * 1000)
    file = tmp_path / "node-1.log"
    before = file.stat().st_size
    assert before > 100_000
    cluster.snapshot(1)
    assert file.stat().st_size < before / 20
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    cluster.committed("k", "after")
    cluster.stop()
    again = start(1, **LIVELY, storage="disk", data_dir=str(tmp_path))
    assert again.value_of("k") == "after"
    assert (again.status()[1].first_index or 0) > 100


@pytest.mark.needs("read", "membership")
@pytest.mark.needs("disk")
@pytest.mark.slow
def test_a_snapshot_is_continued_by_every_contender(
    contender_name: str,
    reader_name: str,
    contenders: Contenders,
    demand: Callable[[str], None],
    tmp_path: Path,
) -> None:
    settings: dict[str, Any] = {**LIVELY, "storage": "disk", "data_dir": str(tmp_path)}
    latest: dict[int, tuple[int | None, str | None]] = {}
    for life, name in enumerate((contender_name, reader_name, contender_name)):
        demand(name)
        members = [1, 2, 3, 4] if life else []
        cluster = ClusterUnderTest(contenders.shared(name), 3, members, **settings)
        cluster.elected_leader()
        if life == 0:
            cluster.add_server(4)
            cluster.committed("ключ", "😀")
        else:
            assert all(node.voters == [1, 2, 3, 4] for node in cluster.status().values())
        first = {"client": "анна", "serial": 1}
        assert cluster.insist(cas("k", None, "1"), first) is True, "applied in the first life"
        cluster.insist(cas("bool", None, "1"), {"client": "bert", "serial": life + 1})
        assert cluster.read_value("ключ") == "😀"
        cluster.all_agree()
        for node in (1, 2):
            cluster.snapshot(node)
        cluster.committed(f"after the snapshot of life {life}", "\0" * life)
        cluster.all_agree()
        latest = {n.id: (n.first_index, n.state_hash) for n in cluster.status().values()}
        assert (latest[1][0] or 0) > (latest[3][0] or 0), "some nodes kept the log"
        cluster.stop()
    assert len({state for _, state in latest.values()}) == 1


# By itself


@pytest.mark.parametrize("every", [1, 2, 7, 16])
def test_snapshots_come_every_so_many_entries(start: StartCluster, every: int) -> None:
    cluster = start(1, **LIVELY, snapshot_entries=every)
    cluster.elected_leader()
    for number in range(40):
        cluster.submit(set_("k", str(number)))
        node = cluster.status()[1]
        applied = node.applied_index
        assert applied is not None
        dropped = max(0, applied // every * every - every // 4)
        assert node.first_index == dropped + 1
        assert node.snapshot_index == applied // every * every
        cluster.log(1)
    cluster.all_agree()


def test_nodes_that_have_applied_as_much_keep_as_much(start: StartCluster) -> None:
    cluster = start(**STEADY, snapshot_entries=40)
    for number in range(100):
        cluster.committed("k", str(number))
        if number % 5 == 0:  # So that none lags by more than is kept, and none misses a page.
            log = cluster.all_agree()
            for node in cluster.status().values():
                dropped = max(0, (node.applied_index or 0) // 40 * 40 - 10)
                assert node.first_index == dropped + 1
    assert len(log) > 80
    assert log[0].index == 1


@pytest.mark.needs("replicate")
@pytest.mark.parametrize("settings", [{}, {"snapshot_entries": 0}], ids=["default", "never"])
def test_the_default_is_16384_and_0_is_never(start: StartCluster, settings: dict[str, Any]) -> None:
    cluster = start(1, **STEADY, **settings)
    cluster.elected_leader()
    last = 0
    run = 0
    while last < 16384:
        run += 1
        workload = {"outstanding": 256, "warmup_s": 0, "duration_s": 0.5, "session": f"run-{run}"}
        cluster.run({"name": "replicate", "payload": 1, **workload})
        node = cluster.status()[1]
        last = node.last_index or 0
        dropped = last // 16384 * 16384 - 4096 if not settings and last >= 16384 else 0
        assert node.first_index == dropped + 1
        assert (node.snapshot_index or 0) >= dropped
        assert (node.snapshot_index == 0) == (dropped == 0)


# Followers that need what is gone


@pytest.fixture
def behind(start: StartCluster, seed: int) -> Callable[..., tuple[ClusterUnderTest, int]]:
    """Return a function that makes a cluster with a crashed node that needs a snapshot.

    That goes in at least so many `pieces`.
    """

    def behind(nodes: int = 3, pieces: int = 2, **settings: Any) -> tuple[ClusterUnderTest, int]:
        cluster = start(nodes, **STEADY, **settings, seed=seed)
        cluster.committed("k", "before")
        cluster.all_agree()
        leader = cluster.elected_leader()
        node = cluster.others(leader)[0]
        cluster.crash(node)
        cluster.insist(set_("k", "after"), {"client": "anna", "serial": 1})
        fill(cluster)
        for number in range(pieces - 2):
            cluster.committed(f"piece-{number}", "x" * 2**18)
        compact_all(cluster)
        return cluster, node

    return behind


def check_caught_up(cluster: ClusterUnderTest, node: int) -> None:
    cluster.all_agree()
    status = cluster.status()[node]
    assert (status.snapshot_index or 0) >= MANY
    assert cluster.read_value(f"key-{MANY - 1}") == str(MANY - 1)
    # What came by the snapshot is the node's own: it outlives a crash, and it can lead.
    cluster.crash(node)
    cluster.restart(node)
    assert (cluster.status()[node].snapshot_index or 0) >= MANY
    cluster.committed("k", "again")
    cluster.all_agree()


@pytest.mark.needs("read")
@pytest.mark.needs("transfer")
def test_a_follower_far_behind_gets_the_snapshot(
    behind: Callable[..., tuple[ClusterUnderTest, int]], storage: dict[str, Any]
) -> None:
    cluster, node = behind(**storage)
    cluster.restart(node)
    check_caught_up(cluster, node)
    cluster.hand_over(node)
    assert cluster.insist(cas("k", "again", "2"), {"client": "anna", "serial": 1}) is None
    assert cluster.read_value("k") == "again", "the session came with the snapshot"


@pytest.mark.needs("read")
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"drop": 0.3}, id="lossy"),
        pytest.param({"duplicate": 0.5, "delay_ms": [0, 10]}, id="duplicating"),
    ],
)
def test_a_snapshot_passes_bad_links(
    behind: Callable[..., tuple[ClusterUnderTest, int]], faults: dict[str, Any]
) -> None:
    cluster, node = behind()
    cluster.links(**faults)
    cluster.restart(node)
    cluster.committed("k", "meanwhile")
    cluster.links()
    check_caught_up(cluster, node)


def receiving(node: int) -> Callable[[Status], bool]:
    """Whether a node has heard of a leader, and has not got its state yet."""

    def heard(status: Status) -> bool:
        return status[node].leader is not None and (status[node].applied_index or 0) < MANY

    return heard


@pytest.mark.needs("read")
def test_a_follower_may_crash_while_it_gets_the_snapshot(
    behind: Callable[..., tuple[ClusterUnderTest, int]],
) -> None:
    cluster, node = behind(pieces=PIECES)
    cluster.links(delay_ms=[30, 30])
    for _ in range(2):
        cluster.restart(node)
        cluster.eventually("it gets the snapshot", receiving(node))
        cluster.crash(node)
    cluster.links()
    cluster.restart(node)
    check_caught_up(cluster, node)


@pytest.mark.needs("read")
def test_the_next_leader_begins_its_snapshot_anew(
    behind: Callable[..., tuple[ClusterUnderTest, int]],
) -> None:
    cluster, node = behind(5, pieces=PIECES)
    cluster.links(delay_ms=[30, 30])
    cluster.restart(node)
    cluster.eventually("it gets the snapshot", receiving(node))
    leader = cluster.elected_leader(among=cluster.others(node))
    cluster.crash(leader)
    cluster.elected_leader()
    cluster.links()
    check_caught_up(cluster, node)
    cluster.restart(leader)
    cluster.all_agree()


def test_a_node_whose_log_conflicts_gets_the_snapshot(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "before")
    leader = cluster.isolated_leader()
    for _ in range(50):
        cluster.refused("timeout", "submit", command=set_("k", "lost"), node=leader, timeout_ms=1)
    others = cluster.others(leader)
    for number in range(5):
        cluster.committed("k", str(number), through=others)
    cluster.all_agree(among=others)
    for node in others:
        cluster.snapshot(node)
    cluster.heal()
    cluster.committed("k", "after")
    log = cluster.all_agree()
    assert not any(entry.command.get("value") == "lost" for entry in log)
    assert (cluster.status()[leader].snapshot_index or 0) > 0


@pytest.mark.slow
def test_nothing_is_lost_while_logs_are_compacted(
    start: StartCluster, storage: dict[str, Any], seed: int
) -> None:
    cluster = start(5, **STEADY, **storage, seed=seed, snapshot_entries=20)
    chance = random.Random(seed)
    cluster.links(drop=0.05, duplicate=0.1, delay_ms=[0, 5])
    with BusyClients(cluster, 8) as clients:
        for _ in range(4):
            gone = chance.sample(cluster.nodes, 2)
            for node in gone:
                cluster.crash(node)
            clients.wait_for_more(60)
            for node in gone:
                cluster.restart(node)
            clients.wait_for_more(20)
    cluster.links()
    for counter in clients.counters:
        assert cluster.value_of(counter.name) == str(counter.acknowledged)
    cluster.all_agree()
    assert all((node.first_index or 0) > 100 for node in cluster.status().values())
