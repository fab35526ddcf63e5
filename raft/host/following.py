"""Clients beside the nodes, who follow the leader: docs/protocol.md, *failover*.

They are the same for every concurrency model, as it is the cluster that is measured
with them and not they. One thread is all of them: answers and the news of a leader reach
it through a queue, so that no node ever waits for a client.
"""

import math
import queue
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple, TypeAlias

from raftmark.raft.client import Applied, Outcome
from raftmark.raft.cluster import RoleChange
from raftmark.raft.errors import Lost, NotLeader, OutcomeUnknown, Unavailable
from raftmark.raft.host.control import Control
from raftmark.raft.messages import NOOP
from raftmark.raft.node import Role
from raftmark.raft.workload.closed_loop import CommandSource

SLICE_NS = 10_000_000
PATIENCE_S = 5.0
RETRIED = (NotLeader, Unavailable, Lost, OutcomeUnknown)


class Client:
    """A session with one command at a time; `asked` is the leader that it has sent that to."""

    def __init__(self, source: CommandSource) -> None:
        self.source = source
        self.command = NOOP
        self.asked: RoleChange | None = None
        self.acknowledged = 0


class Answer(NamedTuple):
    """What a client heard, and when."""

    client: Client
    outcome: Outcome
    at_ns: int


class First(NamedTuple):
    """The first command that was acknowledged in a term, and by which leader."""

    term: int
    node: int
    at_ns: int


class Order(Enum):
    """What the clients are told."""

    END = "send nothing more"
    LEAVE = "leave what is outstanding to itself"


Heard: TypeAlias = Answer | RoleChange | Order


class FollowingClients:
    """A client for each source, with one command under way, until all sent `budget` together.

    A command goes to the leader that is known. One that was not applied, for all that is
    known, is sent again with the same serial as soon as another leader is. What is read
    here is whole once `end` or `finished` has returned.
    """

    def __init__(
        self, control: Control, sources: Sequence[CommandSource], budget: float = math.inf
    ) -> None:
        self._control = control
        self._clients = [Client(source) for source in sources]
        self._budget = budget
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._outstanding = 0
        self._waiting: list[Client] = []
        self._ended = False
        self._counts: Counter[int] = Counter()
        self.life: Future[None] = Future()
        self.started_ns = time.monotonic_ns()
        self.ended_ns = self.started_ns
        self.commands = 0
        self.retries = 0
        self.last_index = 0
        self.firsts: list[First] = []

    # -- for other threads -----------------------------------------------------------

    def hear(self, change: RoleChange) -> None:
        """A node changed its role."""
        if change.role is Role.LEADER:
            self._heard.put(change)

    def finished(self, within_s: float) -> bool:
        """Whether all has been sent and answered, waiting so long for it; raises a refusal."""
        wait([self.life], within_s)
        return self.life.done() and self.life.result() is None

    def end(self) -> None:
        """Send nothing more, and await what is outstanding, though not for ever."""
        self.ended_ns = time.monotonic_ns()
        self._heard.put(Order.END)
        self.finished(PATIENCE_S)

    def leave(self) -> None:
        """Let the thread end."""
        self._heard.put(Order.LEAVE)

    def acknowledged(self) -> list[int]:
        """The last serial of each client that was applied."""
        return [client.acknowledged for client in self._clients]

    def slices(self) -> list[list[int]]:
        """Acknowledgements by time, in pieces of 10 ms: [its end (ns after the start), count]."""
        duration_ns = self.ended_ns - self.started_ns
        ends = [*range(SLICE_NS, duration_ns, SLICE_NS), duration_ns]
        counts = [self._counts[number] for number in range(len(ends))]
        # What was heard in the very moment of the end.
        counts[-1] += self._counts[len(ends)]
        return [list(piece) for piece in zip(ends, counts, strict=True)]

    # -- for the clients' thread -----------------------------------------------------

    def live(self) -> None:
        """Be all the clients, until nothing is left to send or to hear."""
        for client in self._clients:
            self._next(client)
        while self._outstanding or self._waiting:
            match self._heard.get():
                case Answer() as answer:
                    self._take(answer)
                case RoleChange():
                    waiting, self._waiting = self._waiting, []
                    for client in waiting:
                        self._ask(client)
                case Order.END:
                    self._ended = True
                    self._waiting.clear()
                case Order.LEAVE:
                    return

    def _next(self, client: Client) -> None:
        if self._ended or not self._budget:
            return
        self._budget -= 1
        client.command = client.source.next()
        client.asked = None
        self._ask(client)

    def _ask(self, client: Client) -> None:
        """Send the client's command to the leader, or wait for one that it has not asked yet."""
        leader, asked = self._control.leader(), client.asked
        if leader is None or (asked and (asked.node, asked.term) == (leader.node, leader.term)):
            self._waiting.append(client)
            return
        self.retries += asked is not None
        client.asked = leader
        self._outstanding += 1

        def done(outcome: Outcome) -> None:
            self._heard.put(Answer(client, outcome, time.monotonic_ns()))

        self._control.submit(leader.node, client.command, done)

    def _take(self, answer: Answer) -> None:
        client, outcome, at_ns = answer
        self._outstanding -= 1
        if isinstance(outcome, Applied):
            client.acknowledged = client.command.serial
            if not self._ended:
                self._count(client, outcome, at_ns)
            self._next(client)
        elif not isinstance(outcome, RETRIED):
            raise outcome
        elif not self._ended:
            self._ask(client)

    def _count(self, client: Client, outcome: Applied, at_ns: int) -> None:
        self.commands += 1
        self.last_index = max(self.last_index, outcome.log_index)
        self._counts[(at_ns - self.started_ns) // SLICE_NS] += 1
        if client.asked and (not self.firsts or outcome.term > self.firsts[-1].term):
            self.firsts.append(First(outcome.term, client.asked.node, at_ns))


@contextmanager
def following(
    control: Control, sources: Sequence[CommandSource], budget: float = math.inf
) -> Iterator[FollowingClients]:
    """The clients' load for a while; no thread is left after it."""
    clients = FollowingClients(control, sources, budget)
    with control.watched(clients.hear), ThreadPoolExecutor(1, "clients") as thread:
        clients.life = thread.submit(clients.live)
        try:
            yield clients
        finally:
            clients.leave()
