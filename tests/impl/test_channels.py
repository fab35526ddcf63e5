"""What the processes' sockets do when they are full: frames stay whole, and some overtake."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from raftmark.impl_multiprocessing.transport import Channel
from raftmark.raft import (
    AppendEntries,
    AppendEntriesReply,
    Command,
    Configuration,
    Entry,
    InstallSnapshot,
    Message,
    RequestVote,
    TimeoutNow,
)
from raftmark.raft.wire import encode

ENTRY = Entry(1, Command("set", "key", "v" * 100_000))
PIECE = InstallSnapshot(1, 1, 2, 40, 1, Configuration((1, 2)), 0, (), False)
VOTE = RequestVote(2, 1, 2, 5, 1)
ANSWER = AppendEntriesReply(1, 1, 2, True, 3)


def entries(prev: int) -> AppendEntries:
    """A large message that follows on an index."""
    return AppendEntries(1, 1, 2, prev, 1, (ENTRY,), 0)


def heartbeat(prev: int) -> AppendEntries:
    """A small one that asks whether the follower has the log up to an index."""
    return AppendEntries(1, 1, 2, prev, 1, (), 0)


class Pair:
    """Two nodes' ends of a socket pair that holds less than one large message."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.sender, self.receiver = Channel(2, ours), Channel(1, theirs)

    def queue(self, *messages: Message) -> None:
        """Queue these, and let the socket take what it takes."""
        for message in messages:
            self.sender.queue(message, encode(message))
        self.sender.flush()

    def arrive(self) -> list[Message]:
        """All that was queued, in the order in which it arrives."""
        arrived: list[Message] = []
        waits = True
        while waits:
            waits = self.sender.flush()
            while True:
                try:
                    arrived += [message for _, message in self.receiver.read()]
                except BlockingIOError:
                    break
        return arrived

    def close(self) -> None:
        """Close both ends."""
        self.sender.sock.close()
        self.receiver.sock.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def test_what_is_urgent_overtakes_the_entries_that_wait(pair: Pair) -> None:
    """But not the one whose beginning has left: a frame is a frame."""
    pair.queue(entries(5), entries(6), entries(7))
    pair.queue(heartbeat(5))
    pair.queue(VOTE, ANSWER)
    urgent = [heartbeat(5), VOTE, ANSWER]
    assert pair.arrive() == [entries(5), *urgent, entries(6), entries(7)]


def test_a_heartbeat_that_asks_for_what_waits_does_not_overtake_it(pair: Pair) -> None:
    """It would be refused, and all that waits sent again."""
    pair.queue(entries(5), entries(6), entries(7))
    messages = [heartbeat(8), heartbeat(6)]
    pair.queue(*messages)
    assert pair.arrive() == [entries(5), heartbeat(6), entries(6), entries(7), heartbeat(8)]


def test_pieces_of_snapshots_and_a_handover_stay_where_they_are(pair: Pair) -> None:
    pair.queue(entries(5), entries(6))
    rest = [PIECE, TimeoutNow(1, 1, 2), entries(4)]
    pair.queue(*rest)
    assert pair.arrive() == [entries(5), entries(6), *rest]


def test_nothing_is_overtaken_where_nothing_waits(pair: Pair) -> None:
    messages = [heartbeat(5), VOTE, PIECE, ANSWER]
    for message in messages:
        pair.queue(message)
    assert pair.arrive() == messages


def test_what_exceeds_the_bound_is_dropped_and_frames_stay_whole(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raftmark.raft.wire.MAX_BACKLOG", 250_000)
    pair.queue(*map(entries, range(9)))
    assert pair.arrive() == [entries(0), entries(1), entries(2)]
    pair.queue(entries(9))
    assert pair.arrive() == [entries(9)]


def test_many_small_messages_leave_in_order(pair: Pair) -> None:
    messages = [heartbeat(index) for index in range(3000)]
    pair.queue(*messages)
    assert pair.arrive() == messages
