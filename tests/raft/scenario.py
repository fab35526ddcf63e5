"""Clusters of the pure core in which nothing happens by itself.

A test that uses a `Scenario` is the network and the clock: it says whose timer expires,
which messages arrive, which are lost, and who crashes between which two duties. A log is
written as the terms of its entries, as in the Raft paper's figures: [1, 1, 2].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from raftmark.raft import (
    AppendEntries,
    Command,
    Entry,
    HardState,
    Message,
    Node,
    Ready,
    Role,
    Save,
    Settings,
    StateMachine,
)
from raftmark.raft.client import Applied, Outcome, Proposal, Query, Readers, Value, Waiters, refuse
from raftmark.raft.errors import NotLeader, RaftError, Unavailable
from raftmark.raft.storage import MemoryStorage

MILLISECOND = 1_000_000
ELECTION_TIMEOUT_NS = (150 * MILLISECOND, 300 * MILLISECOND)
HEARTBEAT_NS = 50 * MILLISECOND


def entry(term: int, index: int) -> Entry:
    """The entry that a leader of `term` put at `index`: another term, another command."""
    return Entry(term, Command("set", f"key-{index}", f"of term {term}"))


def log_of(terms: Iterable[int]) -> list[Entry]:
    """A log whose entries have these terms, from index 1 on."""
    return [entry(term, index) for index, term in enumerate(terms, 1)]


def settings_of(nodes: int, **others: Any) -> Settings:
    """The settings of a cluster of nodes 1 to `nodes`; `others` are fields of `Settings`."""
    return Settings(tuple(range(1, nodes + 1)), ELECTION_TIMEOUT_NS, HEARTBEAT_NS, **others)


class Server:
    """A server as a runtime has it: the core, a storage, a state machine, waiting clients.

    It takes what the core asks for in the runtime's order: save, send, restore, apply,
    answer, timer. Each of its snapshots is taken when it is due.
    """

    def __init__(
        self,
        node_id: int,
        settings: Settings,
        log: Sequence[Entry] = (),
        hard_state: HardState = HardState(),  # noqa: B008 (immutable)
        draw: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.id = node_id
        self.storage = MemoryStorage()
        self.storage.save(Save(hard_state, 1, tuple(log)))
        self._settings = settings
        self._draw = draw
        self.begin()

    def begin(self) -> None:
        """Begin a life with nothing but what was saved."""
        self.alive = True
        self.node = Node(self.id, self._settings, self._draw, self.storage.load())
        self.machine = StateMachine()
        self.waiters = Waiters()
        self.readers = Readers()
        self.applied: list[Entry] = []
        self.timers_ns: list[int] = []
        self.perform()

    def crash(self) -> None:
        """Lose all that was not saved."""
        self.alive = False
        self.waiters.abandon(f"node {self.id} crashed")
        self.readers.abandon(Unavailable(f"node {self.id} crashed"))

    def propose(self, proposals: Sequence[Proposal]) -> int | None:
        """Take clients' commands as a runtime does; the first one's index."""
        first = self.node.propose([proposal.command for proposal in proposals])
        if first is not None:
            self.waiters.add(first, self.node.term, proposals)
        else:
            refuse(proposals, NotLeader(self.node.leader_hint))
        return first

    def read(self, queries: list[Query]) -> None:
        """Take clients' reads as a runtime does."""
        round_number = self.node.read()
        if round_number is not None:
            self.readers.add(round_number, queries)
        else:
            refuse(queries, NotLeader(self.node.leader))

    def save(self, ready: Ready) -> None:
        """The first duty."""
        if ready.save is not None:
            self.storage.save(ready.save)

    def restore(self, ready: Ready) -> None:
        """The first duty after sending."""
        if ready.snapshot is not None:
            self.machine.restore(ready.snapshot)
            self.waiters.skipped(ready.snapshot.last_index)

    def apply(self, ready: Ready) -> None:
        """The duties after restoring: apply, answer, take a snapshot, set the timer."""
        if ready.committed:
            first = self.machine.applied_index + 1
            self.applied += ready.committed
            self.waiters.applied(first, ready.committed, self.machine.apply(ready.committed))
        self.readers.resolve(ready.reads, self.machine, self.node.leader)
        if self.node.snapshot_due:
            self.node.take_snapshot(self.machine.items())
        if ready.timer_ns is not None:
            self.timers_ns.append(ready.timer_ns)

    def perform(self) -> list[Message]:
        """All duties of one step; the messages, for whoever is the network."""
        ready = self.node.ready()
        self.save(ready)
        self.restore(ready)
        self.apply(ready)
        return ready.messages

    def hear(self, *messages: Message) -> list[Message]:
        """Messages arrive, in one step; what the server sends."""
        for message in messages:
            self.node.step(message)
        return self.perform()

    @property
    def terms(self) -> list[int]:
        """The log that is kept, as the terms of its entries."""
        log = self.node.log
        return [e.term for e in log.slice(log.first_index, log.last_index)]


class Scenario:
    """A cluster whose messages move only when the test says so."""

    def __init__(
        self,
        nodes: int = 3,
        logs: Mapping[int, Sequence[int]] | None = None,
        **others: Any,
    ) -> None:
        settings = self._settings = settings_of(nodes, **others)
        self.servers: dict[int, Server] = {}
        self.under_way: list[Message] = []
        self._unreachable: set[int] = set()
        for n in settings.nodes:
            log = log_of((logs or {}).get(n, ()))
            last_term = log[-1].term if log else 0
            self.servers[n] = Server(n, settings, log, HardState(last_term, None))

    def node(self, n: int) -> Node:
        """The core of node `n`."""
        return self.servers[n].node

    # -- what happens to one node ------------------------------------------------------

    def time_out(self, n: int) -> None:
        """The timer of node `n` expires."""
        self.node(n).timeout()
        self._send(n)

    def propose(self, n: int, *commands: Command | str, serve: bool = True) -> list[Outcome]:
        """Clients propose to node `n`, which takes up at once what it can.

        A string sets a key of that name. Returns a list that each client's outcome is
        appended to when it comes. With `serve` false the node's duties wait.
        """
        outcomes: list[Outcome] = []
        self.servers[n].propose(
            [
                Proposal(c if isinstance(c, Command) else Command("set", c, c), outcomes.append)
                for c in commands
            ]
        )
        if serve:
            self._send(n)
        return outcomes

    def read(self, n: int, key: str, *, serve: bool = True) -> list[Value | RaftError]:
        """A client asks node `n` for a key's value; a list that its answer is appended to.

        With `serve` false the node's duties wait.
        """
        answers: list[Value | RaftError] = []
        self.servers[n].read([Query(key, answers.append)])
        if serve:
            self._send(n)
        return answers

    def transfer(self, n: int, to: int) -> bool:
        """The operator asks node `n` to hand its leadership over."""
        accepted = self.node(n).transfer(to)
        self._send(n)
        return accepted

    def compact(self, n: int) -> None:
        """Node `n` replaces all that it has applied by a snapshot."""
        server = self.servers[n]
        server.node.take_snapshot(server.machine.items(), keep_tail=False)
        self._send(n)

    def join(self, n: int) -> None:
        """A server that is no member yet begins its first life."""
        self.servers[n] = Server(n, self._settings)
        self.node(n).join()

    def come_back(self, n: int) -> None:
        """A server that was removed begins a life in which it is to be added again."""
        self.servers[n].crash()
        self.servers[n].begin()
        self.node(n).join()

    def crash(self, n: int) -> None:
        """Node `n` loses all that it had not saved."""
        self.servers[n].crash()

    def restart(self, n: int) -> None:
        """Node `n` begins a new life."""
        self.servers[n].begin()

    # -- the network -------------------------------------------------------------------

    def isolate(self, *nodes: int) -> None:
        """Nothing reaches these nodes or comes from them, until `heal`."""
        self._unreachable = set(nodes)
        self.under_way = [m for m in self.under_way if self._passes(m)]

    def heal(self) -> None:
        """All nodes reach each other."""
        self._unreachable = set()

    def take(
        self, kind: type[Message] | None = None, *, sender: int | None = None, to: int | None = None
    ) -> list[Message]:
        """Take the matching messages from the network; some must match."""
        taken: list[Message] = []
        left: list[Message] = []
        for m in self.under_way:
            matches = (
                (kind is None or type(m) is kind)
                and sender in (None, m.sender)
                and to in (None, m.to)
            )
            (taken if matches else left).append(m)
        assert taken, f"no {kind} from {sender} to {to} among {self.under_way}"
        self.under_way = left
        return taken

    def deliver(
        self, kind: type[Message] | None = None, *, sender: int | None = None, to: int | None = None
    ) -> None:
        """The matching messages that are under way now arrive, one by one."""
        for message in self.take(kind, sender=sender, to=to):
            self._arrive(message)

    def settle(self) -> None:
        """Messages arrive until none is under way."""
        while self.under_way:
            self._arrive(self.under_way.pop(0))

    def _passes(self, message: Message) -> bool:
        return not {message.sender, message.to} & self._unreachable

    def _arrive(self, message: Message) -> None:
        if self.servers[message.to].alive:
            self.node(message.to).step(message)
            self._send(message.to)

    def _send(self, n: int) -> None:
        self.under_way += filter(self._passes, self.servers[n].perform())

    # -- what a test often wants -------------------------------------------------------

    def elect(self, n: int) -> None:
        """Node `n` stands for election and wins it, and all hear of it."""
        self.time_out(n)
        self.settle()
        assert self.node(n).role is Role.LEADER, f"node {n} is {self.node(n).role}"

    def commit_indexes(self) -> dict[int, int]:
        """Each node's commit index."""
        return {n: server.node.commit_index for n, server in self.servers.items()}


def applied(outcome: Outcome) -> Applied:
    """The outcome of a command that was applied."""
    assert isinstance(outcome, Applied), repr(outcome)
    return outcome


def append(
    term: int, to: int, prev: tuple[int, int], terms: Iterable[int] = (), commit: int = 0
) -> AppendEntries:
    """What leader 1 of `term` sends: after `prev` (index, term), entries of these terms."""
    index, prev_term = prev
    entries = tuple(entry(t, i) for i, t in enumerate(terms, index + 1))
    return AppendEntries(term, 1, to, index, prev_term, entries, commit)
