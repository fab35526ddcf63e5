"""A trace tells of every message between nodes, and of none where nobody asked for it."""

from __future__ import annotations

from collections import Counter

import pytest

from .cluster import STEADY
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
    cluster.all_agree()
    seen = cluster.messages()
    for message in seen:
        assert message.keys() == {
            *("event", "type", "from", "to", "term", "at_ns"),
            *CONTENT[message["type"]],
        }
        assert message["from"] != message["to"]
    # Whoever led had asked for votes, and a majority had granted them.
    leader = cluster.elected_leader()
    term = cluster.status()[leader].term
    of_term = [message for message in seen if message["term"] == term]
    asked = {m["to"] for m in of_term if m["type"] == "request_vote" and m["from"] == leader}
    granted = {m["from"] for m in of_term if m["type"] == "request_vote_reply" and m["granted"]}
    assert granted <= asked
    assert len(granted) >= len(cluster.nodes) // 2
    # Each follower was sent every entry, and said so.
    last = cluster.status()[leader].last_index
    for follower in cluster.others(leader):
        sent = [m for m in seen if m["type"] == "append_entries" and m["to"] == follower]
        assert max(m["previous"] + m["entries"] for m in sent) == last
        assert max(m["commit"] for m in sent) == last
        answers = [m for m in seen if m["type"] == "append_entries_reply" and m["from"] == follower]
        assert max(m["index"] for m in answers if m["success"]) == last
    kinds = Counter(message["type"] for message in seen)
    assert kinds["append_entries"] >= kinds["append_entries_reply"] > 0


def test_nothing_is_told_unasked(start: StartCluster) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")
    assert cluster.messages() == []
