"""What docs/peers.md says of PySyncObj, each shown in one of its objects, which no other hears.

Where the library is mended a test here fails, and what is said of it is to go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pysyncobj import SyncObj, SyncObjConf, syncobj
from pysyncobj.journal import MemoryJournal
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from raftmark.peers.pysyncobj.store import ROLES
from raftmark.raft.node import Role

OWN, *OTHERS = (Node(f"node-{number}") for number in range(1, 6))


class Kept(Transport):  # type: ignore[misc]
    """A transport that keeps what is sent, and brings what the test likes."""

    ready = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sent: list[tuple[Node, dict[str, Any]]] = []

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self.sent.append((node, message))
        return True

    def destroy(self) -> None:
        """There is nothing to close."""


class Subject(SyncObj):  # type: ignore[misc]
    """Node 1 of five."""

    def __init__(self) -> None:
        conf = SyncObjConf(
            autoTick=False, raftMinTimeout=0.04, raftMaxTimeout=0.05, appendEntriesPeriod=0.01
        )
        super().__init__(OWN, OTHERS, conf, transportClass=Kept)
        for other in OTHERS:
            self.transport._onNodeConnected(other)

    @property
    def transport(self) -> Kept:
        transport: Kept = self._SyncObj__transport
        return transport

    @property
    def role(self) -> Role:
        return ROLES[self._SyncObj__raftState]

    @property
    def log(self) -> list[int]:
        """The indexes in its log."""
        return [index for _, index, _ in self._SyncObj__raftLog[:]]

    def hear(self, node: Node, **message: Any) -> list[dict[str, Any]]:
        """Let it hear a message, and return what it sends to whom that came from."""
        before = len(self.transport.sent)
        self.transport._onMessageReceived(node, message)
        return [sent for to, sent in self.transport.sent[before:] if to == node]

    def stand(self) -> int:
        """Let it tick until it stands for election; its term."""
        while self.role is not Role.CANDIDATE:
            self.doTick(0.001)
        return int(self.raftCurrentTerm)

    def append(self, leader: Node, *entries: tuple[bytes, int, int]) -> dict[str, Any]:
        """Let it hear of entries, the first of which follows one of the same term, or the first."""
        first = entries[0][1]
        [answer] = self.hear(
            leader,
            type="append_entries",
            term=1,
            commit_index=1,
            prevLogIdx=first - 1,
            prevLogTerm=0 if first == 2 else 1,
            entries=list(entries),
        )
        return answer


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    # A node program of this process would have the journal of its life before.
    monkeypatch.setattr(syncobj, "createJournal", lambda _file: MemoryJournal())
    subject = Subject()
    yield subject
    subject.destroy()


def entry(index: int) -> tuple[bytes, int, int]:
    return b"\x01", index, 1


def test_two_votes_of_one_node_count_twice(subject):
    term = subject.stand()
    subject.hear(OTHERS[0], type="response_vote", term=term)
    assert subject.role is Role.CANDIDATE
    subject.hear(OTHERS[0], type="response_vote", term=term)
    assert subject.role is Role.LEADER, "with the votes of two of five"


def test_an_acknowledgement_of_another_term_counts(subject):
    answer = subject.append(OTHERS[0], entry(2))
    assert answer == {
        "type": "next_node_idx", "next_node_idx": 3, "reset": False, "success": True,
    }  # fmt: skip
    term = subject.stand()
    for other in OTHERS[:2]:
        subject.hear(other, type="response_vote", term=term)
    assert subject.log == [1, 2, 3]
    # They acknowledged as much to a leader before, of another entry.
    for other in OTHERS[:2]:
        subject.hear(other, **(answer | {"next_node_idx": 4}))
    subject.doTick(0)
    assert subject.raftCommitIndex == 3, "committed without who heard of it"


def test_what_was_acknowledged_leaves_the_log_when_a_part_of_it_comes_again(subject):
    leader = OTHERS[0]
    assert subject.append(leader, entry(2), entry(3), entry(4))["next_node_idx"] == 5
    assert subject.append(leader, entry(2))["success"]
    assert subject.log == [1, 2], "nothing was in conflict"
