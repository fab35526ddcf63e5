"""A leader hands over (Ongaro's thesis, section 3.10), and nothing is lost by it."""

from __future__ import annotations

import pytest

from raftmark.bench.contenders.contender import ContenderError

from .clients import BusyClients, check_nothing_lost
from .cluster import LIVELY, STEADY, UNSHAKABLE, ClusterUnderTest, get
from .conftest import StartCluster
from .waiting import DEADLINE_S, looks

pytestmark = [pytest.mark.level("complete"), pytest.mark.needs("transfer")]


@pytest.mark.needs("read")
def test_each_node_in_turn_leads_in_the_next_term(start: StartCluster) -> None:
    cluster = start(**UNSHAKABLE)
    cluster.committed("k", "1")
    term = cluster.status()[cluster.elected_leader()].term or 0
    for node in [*cluster.others(cluster.elected_leader()), *cluster.nodes]:
        # Whoever was asked to stand twice would stand in a term more.
        cluster.hand_over(node, timeout_ms=30_000)
        assert cluster.elected_leader() == node
        assert cluster.read("k").value == "1"
    # As many terms as there were transfers, for nobody waited for an election timeout.
    leaders = {event.term for event in cluster.role_events() if event.role == "leader"}
    assert leaders == set(range(term, max(leaders) + 1))
    assert len(leaders) <= 2 + len(cluster.nodes) + 1
    cluster.all_agree()


def test_to_whom_leads_already_nothing_is_to_do(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")

    def keep(leader: int) -> None:
        before = cluster.status()[leader]
        cluster.transfer(leader)
        assert cluster.status()[leader] == before

    cluster.undisturbed(keep)


def refused_meanwhile(cluster: ClusterUnderTest, leader: int, to: int) -> ContenderError:
    """Return how the leader refuses a command while it hands over to a node that is down.

    It does for an election timeout, which is over before anyone looks on a busy machine, so that
    the transfer, which must end with a timeout, may be asked for more than once.
    """
    refusal: ContenderError | None = None
    for _ in looks():
        waiting = cluster.contender.send("transfer", node=to, timeout_ms=500)
        while refusal is None and not waiting.done():
            try:
                cluster.submit(get("k"), node=leader)
            except ContenderError as error:
                refusal = error
        with pytest.raises(ContenderError) as outcome:
            waiting.result(DEADLINE_S)
        assert outcome.value.code == "timeout"
        if refusal is not None:
            return refusal
    raise AssertionError("the leader took commands while it handed over")


@pytest.mark.parametrize("state", ["crash", "pause"])
def test_to_whom_is_down_it_takes_too_long_and_the_old_leader_goes_on(
    start: StartCluster, state: str
) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")

    def attempt(leader: int) -> None:
        node, other = cluster.others(leader)
        term = cluster.status()[leader].term
        getattr(cluster, state)(node)
        try:
            refusal = refused_meanwhile(cluster, leader, node)
            assert refusal.code == "not_leader"
            assert refusal.extra["leader"] == node
            cluster.committed("k", "on it goes", through=[leader, other])
            after = cluster.status()[leader]
            assert (after.role, after.term) == ("leader", term)
        finally:
            cluster.restart(node) if state == "crash" else cluster.resume(node)

    cluster.undisturbed(attempt)
    cluster.all_agree()


@pytest.mark.needs("read")
@pytest.mark.needs("pre_vote", "snapshot")
@pytest.mark.parametrize("compacted", [False, True], ids=["entries", "snapshot"])
def test_whoever_lags_gets_all_that_it_lacks_first(start: StartCluster, compacted: bool) -> None:
    # So that the node, when it is back, follows the leader that there is.
    cluster = start(**STEADY, pre_vote=True)
    leader = cluster.elected_leader()
    node, other = cluster.others(leader)
    cluster.partition([leader, other], [node])
    for number in range(30):
        cluster.committed("k", str(number), through=[leader, other])
    if compacted:
        cluster.snapshot(leader)
        cluster.snapshot(other)
    cluster.heal()
    cluster.hand_over(node)
    assert cluster.read_value("k") == "29"
    assert ((cluster.status()[node].snapshot_index or 0) > 0) == compacted
    cluster.all_agree()


@pytest.mark.needs("membership")
def test_a_learner_cannot_lead(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.committed("k", "1")
    cluster.partition([1])
    # Its leader cannot reach it, so that it does not become a voter.
    cluster.doubt(4)
    waiting = cluster.contender.send("add_server", node=4, timeout_ms=600_000)
    cluster.eventually("it is a learner", lambda status: status[1].learners == [4])
    cluster.expect(4)
    cluster.refused("bad_request", "transfer", node=4)
    cluster.heal()
    assert waiting.result(DEADLINE_S) == {}
    cluster.hand_over(4)
    cluster.all_agree()


def test_without_a_leader_there_is_none_to_hand_over(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    node = cluster.lonely_follower()
    cluster.refused("unavailable", "transfer", node=node)
    cluster.stop()
    cluster.refused("unavailable", "transfer", node=node)


def test_a_transfer_that_waits_is_answered_when_the_cluster_stops(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    leader = cluster.elected_leader()
    node = cluster.others(leader)[0]
    cluster.crash(node)
    waiting = cluster.contender.send("transfer", node=node, timeout_ms=600_000)
    cluster.stop()
    with pytest.raises(ContenderError) as refusal:
        waiting.result(DEADLINE_S)
    assert refusal.value.code == "unavailable"


def test_no_command_is_lost_while_leaders_hand_over(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.elected_leader()
    with BusyClients(cluster, 8) as clients:
        for node in [*cluster.nodes, *cluster.nodes]:
            cluster.hand_over(node)
            clients.wait_for_more(10)
    check_nothing_lost(cluster.all_agree(), clients.counters)


def test_bad_links_only_make_a_transfer_slower(start: StartCluster, seed: int) -> None:
    cluster = start(**STEADY, seed=seed)
    cluster.elected_leader()
    cluster.links(drop=0.1, duplicate=0.3, delay_ms=[0, 10])
    with BusyClients(cluster, 4) as clients:
        for node in cluster.nodes:
            try:
                cluster.transfer(node, timeout_ms=500)
            except ContenderError as error:
                if error.code not in ("timeout", "unavailable"):
                    raise
            clients.wait_for_more(5)
    cluster.links()
    check_nothing_lost(cluster.all_agree(), clients.counters)
