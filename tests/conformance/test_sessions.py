"""A retried command is applied once (Raft paper, section 8)."""

from __future__ import annotations

from typing import Any

import pytest

from .cluster import LIVELY, STEADY, ClusterUnderTest, cas, get, set_
from .conftest import StartCluster
from .messages import LogEntry
from .model import Store
from .waiting import DEADLINE_S

pytestmark = pytest.mark.level("replicates")

ANNA_1 = {"client": "anna", "serial": 1}
ANNA_2 = {"client": "anna", "serial": 2}
BERT_1 = {"client": "bert", "serial": 1}


def values_in(log: list[LogEntry]) -> dict[str, str]:
    return Store(log).values


def test_a_retry_gets_the_first_result_and_is_not_applied(start: StartCluster) -> None:
    cluster = start(**STEADY)
    assert cluster.insist(cas("k", None, "1"), ANNA_1) is True
    cluster.committed("k", "2")
    assert cluster.insist(cas("k", None, "1"), ANNA_1) is True
    assert cluster.value_of("k") == "2"
    assert values_in(cluster.all_agree())["k"] == "2"


def test_a_serial_stands_for_its_first_command(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.insist(set_("k", "1"), ANNA_1)
    assert cluster.insist(set_("k", "2"), ANNA_1) is None
    assert cluster.insist(get("k"), ANNA_1) is None, "the result of the set, not of a get"
    assert cluster.value_of("k") == "1"


def test_a_repeated_get_gets_what_was_read_first(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")
    assert cluster.insist(get("k"), ANNA_1) == "1"
    cluster.committed("k", "2")
    assert cluster.insist(get("k"), ANNA_1) == "1"
    assert cluster.insist(get("k"), ANNA_2) == "2"


def test_a_retry_beside_its_first_attempt_is_applied_once(start: StartCluster) -> None:
    cluster = start(**STEADY)

    def all_at_once(leader: int) -> list[Any]:
        request: dict[str, Any] = {"command": cas("k", None, "1"), "node": leader, **ANNA_1}
        answers = [cluster.contender.send("submit", **request) for _ in range(20)]
        return [answer.result(DEADLINE_S)["result"] for answer in answers]

    assert cluster.undisturbed(all_at_once) == [True] * 20
    assert values_in(cluster.all_agree()) == {"k": "1"}


def test_sessions_do_not_know_each_other(start: StartCluster) -> None:
    cluster = start(**STEADY)
    assert cluster.insist(cas("k", None, "anna"), ANNA_1) is True
    assert cluster.insist(cas("k", "anna", "bert"), BERT_1) is True
    assert cluster.insist(set_("k", "nobody"), {}) is None
    assert cluster.insist(cas("k", "nobody", "anna"), ANNA_2) is True
    cluster.all_agree()


def test_serials_may_skip_numbers(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.insist(set_("k", "1"), {"client": "anna", "serial": 5})
    cluster.insist(set_("k", "2"), {"client": "anna", "serial": 2**53 - 1})
    assert cluster.value_of("k") == "2"
    cluster.all_agree()


def refuse_lower_serial(cluster: ClusterUnderTest) -> None:
    cluster.undisturbed(
        lambda leader: cluster.refused(
            "bad_request", "submit", command=set_("k", "old"), node=leader, **ANNA_1
        )
    )


def test_a_lower_serial_is_refused_and_not_applied(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.insist(set_("k", "1"), ANNA_1)
    cluster.insist(set_("k", "2"), ANNA_2)
    refuse_lower_serial(cluster)
    assert cluster.value_of("k") == "2"
    assert values_in(cluster.all_agree())["k"] == "2"


def test_the_next_leader_knows_the_session(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    assert cluster.insist(cas("k", None, "1"), ANNA_1) is True
    cluster.committed("k", "2")
    leader = cluster.elected_leader()
    cluster.crash(leader)
    assert cluster.insist(cas("k", None, "1"), ANNA_1) is True
    assert cluster.value_of("k") == "2"
    cluster.restart(leader)
    cluster.all_agree()


@pytest.mark.level("survives")
def test_a_retry_of_what_the_old_leader_left_unanswered_is_applied_once(
    start: StartCluster,
) -> None:
    cluster = start(5, **LIVELY)
    cluster.committed("k", "0")
    leader = cluster.stalled_leader(cas("k", "0", "1"), ANNA_1)
    cluster.crash(leader)
    cluster.heal()
    # One survivor may hold the entry, and may bring it into the next leader's log.
    assert cluster.insist(cas("k", "0", "1"), ANNA_1) is True
    assert cluster.insist(cas("k", "0", "1"), ANNA_1) is True
    cluster.restart(leader)
    assert values_in(cluster.all_agree())["k"] == "1"


def test_sessions_outlive_the_crash_of_all_nodes(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**LIVELY, **storage)
    assert cluster.insist(cas("k", None, "1"), ANNA_1) is True
    cluster.insist(set_("k", "2"), ANNA_2)
    for node in cluster.nodes:
        cluster.crash(node)
    for node in cluster.nodes:
        cluster.restart(node)
    assert cluster.insist(set_("k", "3"), ANNA_2) is None
    refuse_lower_serial(cluster)
    assert cluster.value_of("k") == "2"
    cluster.all_agree()
