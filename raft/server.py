"""What a server does between two waits, whatever it runs on: no I/O, no clock, no thread.

A server is a consensus module with its log, a state machine, and the clients that wait (the
Raft paper's figure 1). Its runtime tells it what has happened, and goes through `carry_out`
for all that follows from it. How a server waits, how it is woken and reached, how it hangs and
how it ends are the runtime's own.
"""

from collections.abc import Callable, Iterator, Sequence

from raftmark.raft.client import Proposal, Query, Readers, Reading, Waiters, command_of, refuse
from raftmark.raft.cluster import (
    Counters,
    EntriesLost,
    Events,
    LogSlice,
    Membership,
    Replica,
    RoleChange,
)
from raftmark.raft.errors import NotLeader, Unavailable
from raftmark.raft.messages import Configuration, Entry, Message, Save, Snapshot
from raftmark.raft.node import Node, Role
from raftmark.raft.state_machine import StateMachine
from raftmark.raft.trace import message_event


class Server:
    """A server from its start, or restart, to its crash. One thread's or task's own.

    `node` is the consensus module. `send` takes what goes to its peers, `restart_timer` the
    nanoseconds after which it wants to hear `time_out`; neither may block. `now_ns` is the clock.
    """

    def __init__(
        self,
        node: Node,
        send: Callable[[Sequence[Message]], None],
        restart_timer: Callable[[int], None],
        events: Events,
        now_ns: Callable[[], int],
    ) -> None:
        self.id = node.id
        self._node = node
        self._machine = StateMachine()
        self._send = send
        self._restart_timer = restart_timer
        self._events = events
        self._now_ns = now_ns
        # Emptied in their places, so that who asks need only append.
        self._proposals: list[Proposal] = []
        self._queries: list[Query] = []
        self.propose: Callable[[Proposal], None] = self._proposals.append
        """A client asks for a command, as in `take`."""
        self.query: Callable[[Query], None] = self._queries.append
        """A client asks for a read, as in `take`."""
        self._waiters = Waiters()
        self._readers = Readers()
        self._view: tuple[object, ...] = ()
        self._members_told: Configuration | None = None
        self._messages = 0
        self._saves = 0
        self._save_ns = 0

    # -- what happens --------------------------------------------------------------------

    def join(self) -> None:
        """Before the life begins: the server is no member, and is to be made one."""
        self._node.join()

    def begin(self) -> None:
        """The life begins."""
        self._announce()

    def receive(self, message: Message) -> None:
        """A message has come."""
        self._node.step(message)
        self._announce()

    def time_out(self) -> None:
        """The timer has expired."""
        self._node.timeout()
        self._announce()

    def take(self, proposals: list[Proposal], queries: list[Query]) -> None:
        """Clients ask for commands and reads.

        From here on it is the server that answers each, once: with what comes of it, or by
        `abandon`.
        """
        self._proposals += proposals
        self._queries += queries

    @property
    def asked(self) -> bool:
        """Whether clients have asked for what has had no turn yet."""
        return bool(self._proposals or self._queries)

    def await_applied(self, index: int, done: Reading) -> None:
        """Somebody wants to hear when the entry at `index` is applied here."""
        self._readers.await_index(index, Query("", done))

    def heartbeat(self) -> None:
        """All followers are to hear from their leader now."""
        self._node.heartbeat_timeout()
        self._announce()

    def transfer(self, to: int) -> bool:
        """The leadership is to be handed over; False if that cannot be."""
        return self._node.transfer(to)

    def compact(self) -> tuple[int, int]:
        """A snapshot is to take the place of the log; that one's index and term."""
        self._node.take_snapshot(self._machine.items(), keep_tail=False)
        return self._node.snapshot.last_index, self._node.snapshot.last_term

    def abandon(self) -> None:
        """The life is over: nobody here will learn what becomes of what they wait for."""
        self._waiters.abandon(f"node {self.id} ceased")
        self._readers.abandon(self.down())
        waiting: list[Proposal | Query] = [*self._proposals, *self._queries]
        self._proposals.clear()
        self._queries.clear()
        refuse(waiting, self.down())

    # -- what follows from it ------------------------------------------------------------

    def carry_out(self) -> Iterator[Save]:
        """Save, then send, then apply and answer: the order that safety rests on.

        What it yields is durable when the next is asked for. Who cannot save it asks no more,
        and so nothing is sent.
        """
        if self._proposals:
            self._propose()
        if self._queries:
            self._read()
        save, messages, snapshot, committed, reads, timer_ns, lost = self._node.ready()
        if save is not None:
            began_ns = self._now_ns()
            yield save
            self._save_ns += self._now_ns() - began_ns
            self._saves += 1
        if messages:
            self._speak(messages)
        for entries in lost:
            self._events.entries_lost(EntriesLost(*entries, self.id, self._now_ns()))
        if committed or snapshot is not None:
            self._apply(snapshot, committed)
        if reads or self._readers.wait:
            self._readers.resolve(reads, self._machine, self._node.leader)
        if timer_ns is not None:
            self._restart_timer(timer_ns)

    def _speak(self, messages: Sequence[Message]) -> None:
        if self._events.sent is not None:
            now_ns = self._now_ns()
            self._events.sent([message_event(message, now_ns) for message in messages])
        self._messages += len(messages)
        self._send(messages)

    def _propose(self) -> None:
        node = self._node
        first = node.propose(list(map(command_of, self._proposals)))
        proposals = self._proposals.copy()
        self._proposals.clear()
        if first is not None:
            self._waiters.add(first, node.term, proposals)
        else:
            refuse(proposals, NotLeader(node.leader_hint))

    def _read(self) -> None:
        round_number = self._node.read()
        queries = self._queries.copy()
        self._queries.clear()
        if round_number is not None:
            self._readers.add(round_number, queries)
        else:
            refuse(queries, NotLeader(self._node.leader))

    def _apply(self, snapshot: Snapshot | None, committed: Sequence[Entry]) -> None:
        """Restore or apply, answer whose commands that were, and compact when that is due."""
        if snapshot is not None:
            self._machine.restore(snapshot)
            self._waiters.skipped(snapshot.last_index)
        if committed:
            first = self._machine.applied_index + 1
            results = self._machine.apply(committed)
            if self._node.role is Role.LEADER:
                self._tell_members()
            self._waiters.applied(first, committed, results)
        if self._node.snapshot_due:
            self._node.take_snapshot(self._machine.items())

    def _tell_members(self) -> None:
        """Tell who the members are, once that is committed: who was removed need not hear of it.

        A leader that has committed an entry of its term has all that was committed before it.
        """
        log, index = self._node.log, self._node.commit_index
        if log.configuration is self._members_told or log.term_at(index) != self._node.term:
            return
        committed = log.configuration_at(index)
        if committed is not self._members_told:
            self._members_told = committed
            self._events.members_committed(Membership(index, committed.members))

    def _announce(self) -> None:
        node = self._node
        view = (node.role, node.term, node.leader)
        if view != self._view:
            self._view = view
            self._events.role_changed(RoleChange(self.id, *view, self._now_ns()))

    # -- what it is ----------------------------------------------------------------------

    def replica(self) -> Replica:
        """The node at this moment."""
        return Replica.of(self._node, self._machine)

    def log(self, first: int, last: int) -> LogSlice:
        """A stretch of the node's log."""
        return LogSlice.of(self._node, first, last)

    def counters(self, sent_bytes: int | None = None) -> Counters:
        """What the node has sent and saved."""
        return Counters(
            messages=self._messages,
            bytes=sent_bytes,
            saves=self._saves,
            save_ns=self._save_ns,
            entries=self._node.log.last_index,
        )

    def down(self) -> Unavailable:
        """The error for whoever comes too late."""
        return Unavailable(f"node {self.id} is down")
