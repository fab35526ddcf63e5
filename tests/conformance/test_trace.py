"""A trace tells of every message between nodes, and of none where nobody asked for it."""

from __future__ import annotations

from collections import Counter

import pytest

from .cluster import STEADY, Status
from .conftest import StartCluster

pytestmark = [pytest.mark.level("complete"), pytest.mark.needs("trace")]

CONTENT = {
    "request_vote": {"last_index", "last_term", "pre_vote"},
    "request_vote_reply": {"granted", "pre_vote"},
    "append_entries": {"previous", "entries", "commit"},
    "append_entries_reply": {"success", "index"},
    "install_snapshot": {"index", "done"},
    "install_snapshot_reply": {"index"},
    "timeout_now": set(),
}


def test_a_trace_tells_of_votes_entries_and_answers(start: StartCluster) -> None:
    cluster = start(**STEADY, trace=True)
    cluster.committed("k", "1")
    leader, term, last = cluster.eventually("a log that all have applied under one leader", settled)
    answered = [m for m in cluster.messages() if m["type"] == "append_entries_reply"]
    cluster.status()  # Before a node answers it tells what it has sent, which has come by now.
    # A busy machine may hold another election at any time: then this is of what was before it.
    seen = [message for message in cluster.messages() if message["term"] <= term]
    for message in seen:
        assert message.keys() == {
            *("event", "type", "from", "to", "term", "at_ns"),
            *CONTENT[message["type"]],
        }
        assert message["from"] != message["to"]
    # Whoever led had asked for votes, and a majority had granted them.
    of_term = [message for message in seen if message["term"] == term]
    asked = {m["to"] for m in of_term if m["type"] == "request_vote" and m["from"] == leader}
    granted = {m["from"] for m in of_term if m["type"] == "request_vote_reply" and m["granted"]}
    assert granted <= asked
    assert len(granted) >= len(cluster.nodes) // 2
    # Each follower was sent every entry, and said so.
    for follower in cluster.others(leader):
        sent = [m for m in seen if m["type"] == "append_entries" and m["to"] == follower]
        assert max(m["previous"] + m["entries"] for m in sent) == last
        assert max(m["commit"] for m in sent) == last
        answers = [m for m in seen if m["type"] == "append_entries_reply" and m["from"] == follower]
        assert max(m["index"] for m in answers if m["success"]) == last
    kinds = Counter(message["type"] for message in seen)
    assert kinds["append_entries"] >= sum(m["term"] <= term for m in answered) > 0


def settled(status: Status) -> tuple[int, int, int] | None:
    """The leader whom all know, its term, and the end of the log that all have applied."""
    known = {(n.leader, n.term, n.last_index, n.applied_index) for n in status.values()}
    [(leader, term, last, applied), *others] = known
    if others or leader is None or term is None or last is None or applied != last:
        return None
    return leader, term, last


def test_nothing_is_told_unasked(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")
    assert cluster.messages() == []
