"""Every malformed request is refused and changes nothing.

Each case is one line of input. The status of an unshakable cluster, hashes included, must be the
same before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from raftmark.bench.contenders.contender import Contender, ContenderError

from .cluster import UNSHAKABLE, ClusterUnderTest, Status
from .conftest import Contenders
from .malformed import ALWAYS_WRONG, CASES, ID, Case, as_text
from .waiting import DEADLINE_S

pytestmark = pytest.mark.level("survives")


def check_refused(contender: Contender, case: Case) -> None:
    """Check that the line gets one reply, a `bad_request`, and the next line its own."""
    contender.send_line(case.line)
    reply = contender.next_unmatched(DEADLINE_S)
    assert set(reply) == {"id", "error"}, reply
    assert set(reply["error"]) == {"code", "message"}, reply
    assert reply["error"]["code"] == "bad_request", reply
    assert reply["error"]["message"], "a message says what is wrong"

    assert reply["id"] == case.id, reply
    contender.call("hello")
    with pytest.raises(TimeoutError):
        print(contender.next_unmatched(0))


class QuietClusters:
    """One unshakable cluster for each contender, built again only if a test broke it."""

    def __init__(self, contenders: Contenders) -> None:
        self._contenders = contenders
        self._clusters: dict[str, ClusterUnderTest] = {}

    def of(self, name: str) -> ClusterUnderTest:
        if name not in self._clusters:
            contender = self._contenders.spec(name).launch()
            cluster = ClusterUnderTest(contender, **UNSHAKABLE)
            self._clusters[name] = cluster
            cluster.committed("k", "untouched")
        return self._clusters[name]

    def discard(self, name: str) -> None:
        self._clusters.pop(name).contender.kill()

    def close(self) -> None:
        for name in list(self._clusters):
            self.discard(name)


@pytest.fixture(scope="module")
def quiet_clusters(contenders: Contenders) -> Iterator[QuietClusters]:
    clusters = QuietClusters(contenders)
    yield clusters
    clusters.close()


def settled(status: Status) -> Status | None:
    """The status, if all have applied the same log to its end, so that none will change."""
    ends = {(node.last_index, node.commit_index, node.applied_index) for node in status.values()}
    return status if len({end for node in ends for end in node}) == 1 else None


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_malformed_request_is_refused_and_changes_nothing(
    quiet_clusters: QuietClusters,
    contender_name: str,
    demand: Callable[[str], None],
    case: Case,
) -> None:
    demand(contender_name)
    cluster = quiet_clusters.of(contender_name)

    def refuse(_leader: int) -> None:
        before = cluster.eventually("all know what is committed", settled)
        check_refused(cluster.contender, case)
        assert cluster.status() == before

    try:
        cluster.undisturbed(refuse)
    except BaseException:
        quiet_clusters.discard(contender_name)
        raise


def test_after_all_malformed_requests_the_cluster_works(
    quiet_clusters: QuietClusters, contender_name: str, demand: Callable[[str], None]
) -> None:
    demand(contender_name)
    cluster = quiet_clusters.of(contender_name)
    assert cluster.value_of("k") == "untouched"
    cluster.committed("k", "touched")
    cluster.all_agree()


def test_a_malformed_request_is_refused_for_that_where_no_cluster_runs(
    contender: Contender,
) -> None:
    for case in ALWAYS_WRONG.values():
        check_refused(contender, case)
    with pytest.raises(ContenderError) as refusal:
        contender.call("status")
    assert refusal.value.code == "unavailable"


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        ("status", ""),
        ("submit", ', "command": {"op": "get", "key": "k"}, "node": 9'),
        pytest.param("read", ', "key": "k"', marks=pytest.mark.needs("read")),
        ("log", ', "node": 9'),
        ("partition", ', "groups": [[1, 9]]'),
        pytest.param(
            "run",
            ', "workload": {"name": "election", "lagging": 4}',
            marks=pytest.mark.needs("election"),
        ),
        ("stop", ""),
        *(
            pytest.param(op, ', "node": 9', marks=pytest.mark.needs(feature))
            for op, feature in (
                ("snapshot", "snapshot"),
                ("transfer", "transfer"),
                ("add_server", "membership"),
                ("remove_server", "membership"),
            )
        ),
        *((op, ', "node": 9') for op in ("crash", "restart", "pause", "resume")),
        *((op, "") for op in ("heal", "links")),
    ],
)
def test_what_some_cluster_could_do_is_unavailable_where_none_runs(
    contender: Contender, op: str, fields: str
) -> None:
    contender.send_line(as_text(f'{{"id": @, "op": "{op}"{fields}}}').line)
    reply = contender.next_unmatched(DEADLINE_S)
    assert (reply["id"], reply["error"]["code"]) == (ID, "unavailable")
