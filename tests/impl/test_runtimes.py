"""What the runtimes promise as clusters, each tested from within: nothing lost, nothing left."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sized
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from raftmark.impl_multiprocessing.cluster import ProcessCluster
from raftmark.raft import Command, Entry, HardState, Role, Save
from raftmark.raft.client import Applied, Outcome, Value
from raftmark.raft.cluster import Cluster, ClusterFactory
from raftmark.raft.errors import Lost, NotLeader, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.links import Faults
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import NOOP
from raftmark.raft.storage import DiskStorage, StorageError

from .runtimes import DEADLINE_S, FACTORIES, Holdings, Watched, file_size_limit, running

SECOND = 1_000_000_000
MEGABYTE = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> None:
    """What the contender's main module starts, once, before any cluster."""
    forkserver.set_forkserver_preload(["raftmark.impl_multiprocessing.process"])
    forkserver.ensure_running()


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> ClusterFactory:
    return FACTORIES[request.param]


@pytest.fixture
def holdings(factory: ClusterFactory) -> Iterator[None]:
    """Check that after the test nothing is left of what it began."""
    with running(factory, 1):
        pass  # What is imported or started once, is so now.
    before = Holdings.now()
    yield
    assert Holdings.now() == before


def in_thread(function: Callable[[], None]) -> threading.Thread:
    """Start a thread."""
    thread = threading.Thread(target=function, name="test")
    thread.start()
    return thread


def longer(items: Sized, count: int) -> bool:
    """Whether there are more than `count` by now."""
    return len(items) > count


def join(thread: threading.Thread) -> None:
    """Wait for a thread."""
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


# -- beginning and end ------------------------------------------------------------------------


@pytest.mark.usefixtures("holdings")
@pytest.mark.parametrize("nodes", [1, 3, 5])
@pytest.mark.parametrize("disk", [False, True], ids=["memory", "disk"])
def test_a_cluster_commits_and_leaves_nothing_behind(
    factory: ClusterFactory, nodes: int, disk: bool, tmp_path: Path
) -> None:
    with running(factory, nodes, tmp_path if disk else None) as watched:
        applied = watched.commit("1")
        watched.agree()
        assert applied.result is None
    assert watched.failures == []


@pytest.mark.usefixtures("holdings")
def test_a_cluster_can_be_stopped_in_any_state(factory: ClusterFactory, tmp_path: Path) -> None:
    with running(factory, 3, tmp_path) as watched:
        leader = watched.leader()
        others = [n for n in watched.nodes if n != leader]
        watched.cluster.degrade(Faults(delay_ns=(SECOND, SECOND)))
        watched.cluster.pause(leader)
        watched.cluster.crash(others[0])
        watched.cluster.partition([])
        heard = [watched.submit(n, Command("get", "k")) for n in (leader, others[1])]
    assert [len(each) for each in heard] == [1, 1]


@pytest.mark.usefixtures("holdings")
def test_a_start_that_fails_leaves_nothing_behind(factory: ClusterFactory, tmp_path: Path) -> None:
    (tmp_path / "node-2.log").write_bytes(b"Dear diary")
    with pytest.raises(StorageError, match=r"node-2\.log"), running(factory, 3, tmp_path):
        pass


def test_no_leader_is_announced_twice_for_a_term(factory: ClusterFactory) -> None:
    with running(factory, 5) as watched:
        for _ in range(3):
            leader = watched.leader()
            watched.cluster.crash(leader)
            watched.leader(set(watched.nodes) - {leader})
            watched.cluster.restart(leader)
    terms = watched.terms_led()
    assert len(terms) == len(set(terms))
    assert len(terms) >= 3


# -- each command is answered once ------------------------------------------------------------


def test_a_crash_answers_every_outstanding_command_once(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        leader = watched.isolate_leader()
        proposed = [watched.submit(leader, Command("set", "k", str(n))) for n in range(300)]
        watched.statuses(lambda s: s[leader].last_index > 300)
        waiting = [watched.submit(leader, Command("set", "k", str(n))) for n in range(300)]
        watched.cluster.crash(leader)
        watched.wait_for(lambda: all(proposed) and all(waiting))
    assert {len(each) for each in [*proposed, *waiting]} == {1}
    assert {type(each[0]) for each in proposed} == {OutcomeUnknown}
    assert {type(each[0]) for each in waiting} <= {OutcomeUnknown, Unavailable}


def test_a_stop_answers_every_outstanding_command_once(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        leader = watched.isolate_leader()
        heard = [watched.submit(leader, Command("set", "k", str(n))) for n in range(300)]
    assert {len(each) for each in heard} == {1}
    assert {type(each[0]) for each in heard} <= {OutcomeUnknown, Unavailable}


def test_commands_that_race_with_crashes_are_answered_once(factory: ClusterFactory) -> None:
    """Several threads submit to a node and ask for its status while it comes and goes."""
    heard: list[list[Outcome]] = []
    stopping = threading.Event()
    with running(factory) as watched:

        def submit() -> None:
            while not stopping.is_set():
                mine = [watched.submit(1, Command("set", "k", str(n))) for n in range(20)]
                heard.extend(mine)
                watched.wait_for(partial(all, mine))

        def ask() -> None:
            while not stopping.is_set():
                try:
                    watched.cluster.status(1)
                except RaftError:
                    continue

        threads = [in_thread(submit) for _ in range(3)] + [in_thread(ask)]
        for _ in range(15):
            answered = len(heard)
            watched.cluster.crash(1)
            watched.cluster.restart(1)
            watched.wait_for(partial(longer, heard, answered))
        stopping.set()
        for thread in threads:
            join(thread)
    assert {len(each) for each in heard} == {1}
    allowed = (Applied, NotLeader, Lost, OutcomeUnknown, Unavailable)
    assert all(isinstance(each[0], allowed) for each in heard)


def test_a_deposed_leaders_commands_are_lost(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        leader = watched.isolate_leader()
        others = set(watched.nodes) - {leader}
        heard = [watched.submit(leader, Command("set", "k", str(n))) for n in range(5)]
        watched.commit("of the new leader", others)
        assert heard == [[]] * 5
        watched.cluster.partition(None)
        watched.wait_for(lambda: all(heard))
        watched.agree()
    assert [type(each[0]) for each in heard] == [Lost] * 5


# -- crash, restart, pause --------------------------------------------------------------------


@pytest.mark.parametrize("disk", [False, True], ids=["memory", "disk"])
def test_what_was_committed_survives_the_crash_of_every_node(
    factory: ClusterFactory, disk: bool, tmp_path: Path
) -> None:
    with running(factory, 3, tmp_path if disk else None) as watched:
        for n in range(5):
            watched.commit(str(n))
        before = watched.agree()[1]
        for n in watched.nodes:
            watched.cluster.crash(n)
        for n in watched.nodes:
            watched.cluster.restart(n)
        assert watched.apply(Command("get", "key")).result == "4"
        assert watched.agree()[1].state_hash == before.state_hash


def test_a_crashed_node_loses_what_it_had_not_saved(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        watched.commit("1")
        watched.agree()
        watched.cluster.partition([])
        watched.cluster.crash(1)
        watched.cluster.restart(1)
        status = watched.cluster.status(1)
        assert status.last_index >= 2
        assert (status.commit_index, status.applied_index) == (0, 0)


def test_a_paused_follower_holds_nobody_up_and_catches_up(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        follower = next(n for n in watched.nodes if n != watched.leader())
        paused = watched.cluster.pause(follower)
        for n in range(50):
            watched.commit(str(n), set(watched.nodes) - {follower})
        watched.cluster.resume(follower)
        assert watched.agree()[follower].applied_index >= paused.applied_index + 50


def test_a_paused_leader_is_replaced_and_follows_when_it_wakes(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        while (paused := watched.cluster.pause(leader := watched.leader())).role != "leader":
            watched.cluster.resume(leader)  # It was deposed just before.
        others = set(watched.nodes) - {leader}
        heard = watched.submit(leader, Command("set", "key", "stale"))
        watched.commit("fresh", others)
        assert heard == []
        watched.cluster.resume(leader)
        watched.wait_for(lambda: heard)
        assert isinstance(heard[0], NotLeader | Lost | Applied)
        watched.leader()
        statuses = watched.agree()
        assert statuses[leader].term > paused.term


def test_a_node_that_wakes_does_not_depose_a_leader_that_has_spoken(
    factory: ClusterFactory,
) -> None:
    """The heartbeats that wait for it count, though its timer has expired as well."""
    timeout_s = 0.4
    with running(factory, election_timeout_s=timeout_s) as watched:
        for _ in range(20):
            leader = watched.leader()
            follower = next(n for n in watched.nodes if n != leader)
            watched.cluster.pause(follower)
            asleep_until = time.monotonic() + 1.5 * timeout_s
            while time.monotonic() < asleep_until:
                watched.cluster.heartbeat(leader)
            before = len(watched.roles)
            watched.cluster.resume(follower)
            watched.cluster.status(follower)
            stood = [c for c in watched.roles[before:] if c.role is Role.CANDIDATE]
            if follower not in {change.node for change in stood}:
                return  # On a busy machine it may stand after all, as it hears nothing more.
    pytest.fail("it stood for election whenever it woke")


def test_a_paused_node_can_be_crashed_and_restarted(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        leader = watched.leader()
        watched.cluster.pause(leader)
        heard = [watched.submit(leader, Command("set", "k", str(n))) for n in range(20)]
        watched.cluster.crash(leader)
        watched.wait_for(lambda: all(heard))
        assert {type(each[0]) for each in heard} <= {OutcomeUnknown, Unavailable}
        watched.cluster.restart(leader)
        watched.commit("again")
        watched.agree()
    assert {len(each) for each in heard} == {1}


# -- the loads beside the leader --------------------------------------------------------------

Load = Callable[[Cluster, int, str], dict[str, Any]]


def replicate(cluster: Cluster, leader: int, session: str) -> dict[str, Any]:
    """Run *replicate* for an hour."""
    spec = ReplicateSpec(16, duration_ns=3600 * SECOND, session=session)
    return cluster.replicate(leader, spec)


def offered(cluster: Cluster, leader: int, session: str) -> dict[str, Any]:
    """Run *offered* for an hour."""
    spec = OfferedSpec(1000, duration_ns=3600 * SECOND, session=session)
    return cluster.offered(leader, spec)


LOADS = pytest.mark.parametrize("load", [replicate, offered])


def loaded(watched: Watched, load: Load, outcomes: list[Any]) -> threading.Thread:
    """Run a load beside a leader, in a thread; it is well under way.

    The leader says so itself: whoever asked for its status would hash a log that grows faster
    than that takes.
    """

    def run(leader: int, session: str) -> None:
        try:
            outcomes.append(load(watched.cluster, leader, session))
        except RaftError as error:
            outcomes.append(error)
        watched.changed()

    def applied(heard: list[Value | RaftError], value: Value | RaftError) -> None:
        heard.append(value)
        watched.changed()

    for session in map(str, range(20)):
        outcomes.clear()
        heard: list[Value | RaftError] = []
        leader = watched.leader()
        index = watched.cluster.status(leader).last_index + 100
        watched.cluster.when_applied(leader, index, partial(applied, heard))
        thread = in_thread(partial(run, leader, session))
        watched.wait_for(partial(any, [heard, outcomes]))
        if not outcomes:
            return thread
        join(thread)  # The leader has changed.
    raise AssertionError(f"{outcomes}")


@LOADS
@pytest.mark.usefixtures("holdings")
def test_a_stop_ends_a_load(factory: ClusterFactory, load: Load) -> None:
    outcomes: list[Any] = []
    with running(factory) as watched:
        thread = loaded(watched, load, outcomes)
    join(thread)
    assert len(outcomes) == 1
    assert isinstance(outcomes[0], RaftError)


@LOADS
def test_a_crash_of_the_leader_ends_a_load(factory: ClusterFactory, load: Load) -> None:
    outcomes: list[Any] = []
    with running(factory) as watched:
        thread = loaded(watched, load, outcomes)
        watched.cluster.crash(watched.leader())
        join(thread)
        assert len(outcomes) == 1
        assert isinstance(outcomes[0], RaftError)


def test_a_replicate_run_acknowledges_what_is_committed(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        for session in "abcdefgh":
            spec = ReplicateSpec(8, 16, 5, SECOND // 10, SECOND // 2, session)
            try:
                result = watched.cluster.replicate(watched.leader(), spec)
                break
            except RaftError:
                continue  # The leader has changed.
        serials: Counter[str | None] = Counter()
        first, last = 1, watched.agree()[1].last_index
        while first <= last:
            piece = watched.cluster.log(1, first, min(last, first + 4999))
            serials.update(entry.command.client for entry in piece.entries)
            first += len(piece.entries)
    assert [serials[f"{session}-{n}"] for n in range(8)] == result["acknowledged"]
    assert 0 < result["commands"] <= sum(result["acknowledged"])
    assert sum(count for _, count in result["latency_ns"]) == result["commands"]
    assert result["counters"]["messages"] > 0


# -- a process that is killed ----------------------------------------------------------------


@pytest.mark.usefixtures("holdings")
@pytest.mark.parametrize("factory", ["multiprocessing"], indirect=True)
def test_a_process_that_is_killed_ends_its_node_and_no_other(factory: ClusterFactory) -> None:
    heard: list[list[Outcome]] = []
    stopping = threading.Event()
    with running(factory) as watched:

        def submit() -> None:
            while not stopping.is_set():
                mine = [watched.submit(1, Command("set", "k", str(n))) for n in range(20)]
                heard.extend(mine)
                watched.wait_for(partial(all, mine))

        threads = [in_thread(submit) for _ in range(3)]
        watched.commit("before")
        watched.wait_for(partial(longer, heard, 100))
        assert isinstance(watched.cluster, ProcessCluster)
        watched.cluster._nodes[1]._process.kill()
        [(node, error)] = watched.wait_for(lambda: watched.failures)
        assert (node, str(error)) == (1, "its process ended with exit status -9")
        watched.commit("without it", {2, 3})
        watched.wait_for(partial(longer, heard, len(heard) + 100))
        stopping.set()
        for thread in threads:
            join(thread)
        with pytest.raises(RaftError):
            watched.cluster.status(1)
    assert {len(each) for each in heard} == {1}


# -- storages that fail -----------------------------------------------------------------------


def write_log(path: Path, entries: int, size: int) -> None:
    """Write the file of one of three nodes: no-ops of term 1, at least `size` bytes long."""
    storage = DiskStorage(path)
    storage.load()
    if size:
        storage.save(Save(None, 1, (Entry(1, Command("set", "k", "x" * size)),)))
    storage.save(Save(HardState(1, None), 1, (Entry(1, NOOP),) * entries, None, (1, 2, 3)))
    storage.close()


def test_a_storage_that_fails_ends_its_node_and_no_other(
    factory: ClusterFactory, tmp_path: Path
) -> None:
    write_log(tmp_path / "node-3.log", 1, MEGABYTE)
    with running(factory, 3, tmp_path) as watched:
        watched.commit("before")
        with file_size_limit(MEGABYTE):
            heard = watched.submit(3, Command("set", "key", "unsaved"))
            watched.wait_for(lambda: heard)
            watched.commit("without it", {1, 2})
            [(node, error)] = watched.wait_for(lambda: watched.failures)
            assert node == 3
            assert isinstance(error, StorageError)
            assert "node-3.log: File too large" in str(error)
            with pytest.raises(Unavailable):
                watched.cluster.status(3)
            late = watched.submit(3, Command("get", "key"))
            watched.wait_for(lambda: late)
            assert isinstance(late[0], Unavailable)
        watched.cluster.restart(3)
        watched.commit("after")
        watched.agree()
    assert [node for node, _ in watched.failures] == [3]


def test_a_storage_that_fails_while_a_node_does_as_it_is_told_ends_the_node(
    factory: ClusterFactory, tmp_path: Path
) -> None:
    """Or it would go on as if it had saved."""
    with running(factory, 1, tmp_path) as watched:
        watched.commit("x" * 1000)
        with file_size_limit(500), pytest.raises(Unavailable):
            watched.cluster.compact(1)
        [(node, error)] = watched.wait_for(lambda: watched.failures)
        assert node == 1
        assert isinstance(error, StorageError)
        with pytest.raises(Unavailable):
            watched.cluster.status(1)
        watched.cluster.restart(1)
        assert watched.apply(Command("get", "key")).result == "x" * 1000


def test_a_node_can_be_restarted_as_soon_as_it_has_failed(
    factory: ClusterFactory, tmp_path: Path
) -> None:
    write_log(tmp_path / "node-3.log", 1, MEGABYTE)
    with running(factory, 3, tmp_path) as watched:
        for n in range(1, 11):
            with file_size_limit(MEGABYTE):
                watched.commit(str(n), {1, 2})
                watched.wait_for(partial(longer, watched.failures, n - 1))
            watched.cluster.restart(3)
            watched.leader()
        watched.commit("after")
        watched.agree()
    assert [node for node, _ in watched.failures] == [3] * 10


def test_a_vote_that_could_not_be_saved_is_never_sent(
    factory: ClusterFactory, tmp_path: Path
) -> None:
    """Figure 2, save, then send: or two leaders could be elected in a term after a power cut."""
    write_log(tmp_path / "node-1.log", 2, 0)
    write_log(tmp_path / "node-2.log", 1, MEGABYTE)
    write_log(tmp_path / "node-3.log", 1, MEGABYTE)
    with file_size_limit(MEGABYTE), running(factory, 3, tmp_path) as watched:
        watched.wait_for(
            lambda: watched.terms_led() or {node for node, _ in watched.failures} == {2, 3}
        )
        term = watched.roles[-1].term
        # It has stood in vain until now, and stands again: nobody's vote has reached it.
        watched.wait_for(lambda: watched.terms_led() or watched.roles[-1].term >= term + 2)
        assert watched.terms_led() == []


def test_an_entry_that_could_not_be_saved_is_never_acknowledged(
    factory: ClusterFactory, tmp_path: Path
) -> None:
    """Figure 2, save, then send: or a power cut could take back what a client was told."""
    room_for_a_vote = 20
    for attempt in range(20):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        write_log(directory / "node-1.log", 2, 0)
        write_log(directory / "node-2.log", 1, MEGABYTE)
        # Without any room it elects nobody: else the two could elect one another.
        write_log(directory / "node-3.log", 1, MEGABYTE + room_for_a_vote)
        limit = (directory / "node-2.log").stat().st_size + room_for_a_vote
        with file_size_limit(limit), running(factory, 3, directory) as watched:
            watched.wait_for(lambda: {node for node, _ in watched.failures} == {2, 3})
            watched.cluster.heartbeat(1)
            assert watched.cluster.status(1).commit_index == 0
        leaders = {change.node for change in watched.roles if change.role is Role.LEADER}
        assert leaders <= {1}
        if leaders:
            return  # It sent its entry. Else node 2 had used its one vote for itself before.
    raise AssertionError("node 1 was never elected")


# -- looking at a node ------------------------------------------------------------------------


def test_a_node_tells_when_it_has_applied_an_entry(factory: ClusterFactory) -> None:
    heard: list[Value | RaftError] = []

    def take(value: Value | RaftError) -> None:
        heard.append(value)
        watched.changed()

    with running(factory) as watched:
        index = watched.commit("first").log_index
        for node in watched.nodes:
            watched.cluster.when_applied(node, index, take)
        watched.wait_for(lambda: len(heard) == 3)
        assert all(isinstance(value, Value) and value.log_index >= index for value in heard)
        # One that is not there yet.
        heard.clear()
        watched.cluster.when_applied(1, index + 5, take)
        for n in range(5):
            watched.commit(str(n))
        watched.wait_for(lambda: heard)
        [value] = heard
        assert isinstance(value, Value)
        assert value.log_index >= index + 5


def test_a_node_that_crashes_leaves_nobody_waiting_for_an_entry(factory: ClusterFactory) -> None:
    heard: list[Value | RaftError] = []

    def take(value: Value | RaftError) -> None:
        heard.append(value)
        watched.changed()

    with running(factory) as watched:
        watched.commit("first")
        watched.cluster.when_applied(1, 1_000_000, take)
        watched.cluster.crash(1)
        watched.wait_for(lambda: heard)
        assert isinstance(heard[0], Unavailable)


def test_counters_rise_with_what_a_leader_does(factory: ClusterFactory) -> None:
    with running(factory) as watched:
        watched.commit("first")
        leader = watched.leader()
        before = watched.cluster.counters(leader)
        watched.commit("second")
        after = watched.cluster.counters(leader)
        if watched.leader() == leader:
            assert after.entries > before.entries
            assert after.saves > before.saves
            assert after.messages > before.messages
