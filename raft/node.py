"""One Raft server as a pure state machine (§5): events in, a `Ready` out.

Everything that decides an election or a commit is in this file. A runtime tells the
node what happened, by the method of that name, as often as it likes; then it takes
`ready()` and does what it says **in this order**:

1. make `save` durable,
2. send `messages`,
3. restore the state machine from `snapshot`, if there is one,
4. apply `committed` to it and answer the clients that wait,
5. answer the reads that `reads` tells of,
6. restart the timer, if `timer_ns` says so.

That order is the runtime's whole duty to safety: no message leaves and no client hears
of anything that a crash could still take back.

Whatever happened between two calls of `ready()` becomes one save and one message per
follower, so that a busy runtime batches without being told to.

Beside the paper's algorithm there is what its thesis adds ("thesis" in what follows: D.
Ongaro, "Consensus: Bridging Theory and Practice", 2014): leadership transfer (§3.10),
membership changes one server at a time (§4), reads without a log entry (§6.4), and on
request the check of a leader's quorum (§6.2) and the pre-vote (§9.6).
"""

import enum
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple

from raftmark.raft.assembly import Assembly
from raftmark.raft.log import ReplicatedLog
from raftmark.raft.messages import (
    MEMBERSHIP,
    NOOP,
    PROMOTE_SERVER,
    AppendEntries,
    AppendEntriesReply,
    Command,
    Configuration,
    Entry,
    HardState,
    InstallSnapshot,
    InstallSnapshotReply,
    Item,
    Message,
    RequestVote,
    RequestVoteReply,
    Save,
    Saved,
    Snapshot,
    TimeoutNow,
    fitting,
    size_of_item,
)
from raftmark.raft.progress import Progress
from raftmark.raft.reads import ReadIndex, ReadRounds

operation = attrgetter("op")
# What `Entry(term, command)` does, without a call of Python's for each; and for what each turn has.
entry_of = partial(tuple.__new__, Entry)
append_entries_of = partial(tuple.__new__, AppendEntries)
append_entries_reply_of = partial(tuple.__new__, AppendEntriesReply)
save_of = partial(tuple.__new__, Save)


class Role(enum.Enum):
    """The states of a server: the paper's three (§5.1), and the pre-vote's (thesis §9.6)."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre_candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


def entries_of(term: int, commands: Sequence[Command]) -> tuple[Entry, ...]:
    """An entry of this term for each command."""
    return tuple(map(entry_of, zip(repeat(term), commands)))


class Settings(NamedTuple):
    """What all nodes of a cluster share.

    `nodes` are the first voters, the configuration that the log begins with; a server that
    is added later has the same. `election_timeout_ns` is the range from which each timeout
    is drawn, `max_entries` bounds the entries of one AppendEntries and the items of one
    InstallSnapshot, `max_bytes` their texts, in bytes of UTF-8 (an entry or item that is larger
    travels alone), and `window` the number of AppendEntries under way to a follower: as many
    messages, and `max_bytes` for each. A snapshot is due every `snapshot_entries` entries, never
    if that is 0; the last quarter of as many stays in the log for followers that lag.
    """

    nodes: tuple[int, ...]
    election_timeout_ns: tuple[int, int]
    heartbeat_ns: int
    max_entries: int = 1024
    max_bytes: int = 256 * 1024
    window: int = 16
    pre_vote: bool = False
    check_quorum: bool = False
    snapshot_entries: int = 16384


class LostEntries(NamedTuple):
    """A follower that had acknowledged the entries up to `last` has them no more, from `first` on.

    Raft rests on that this does not happen; see docs/correctness.md.
    """

    node: int
    first: int
    last: int


class Ready(NamedTuple):
    """What the runtime must do now, in the order of the fields."""

    save: Save | None
    messages: list[Message]
    snapshot: Snapshot | None
    committed: tuple[Entry, ...]
    reads: Sequence[ReadIndex]
    timer_ns: int | None
    lost: Sequence[LostEntries] = ()
    """For people; there is nothing that the runtime could do about it."""


ready_of = partial(tuple.__new__, Ready)


class Node:
    """A server's view of the cluster; see the module for how a runtime drives it.

    A node has one timer: a leader's asks for heartbeats, any other's for an election.
    `random` returns floats from [0, 1) and is called once for each timeout drawn: when the node
    begins, stands or hears of another leader, so that how many are drawn follows from what was
    elected, and not from how many messages came.
    `saved` is what the storage kept from an earlier life.
    """

    # More attributes than CPython finds quickly in an instance's dictionary (30).
    __slots__ = (
        "_applied",
        "_assembly",
        "_beats",
        "_configuration",
        "_first_voters",
        "_first_voters_saved",
        "_heartbeat_due",
        "_joins",
        "_leader_heard",
        "_lost",
        "_majority",
        "_messages",
        "_next_snapshot",
        "_patience_ns",
        "_progress",
        "_random",
        "_reads",
        "_reads_known",
        "_restored",
        "_saved_state",
        "_settings",
        "_snapshot_unsaved",
        "_term_start",
        "_timer_ns",
        "_transferee",
        "_unsaved_from",
        "_voters",
        "_votes",
        "_voting",
        "commit_index",
        "election_timeout_ns",
        "id",
        "leader",
        "log",
        "lost",
        "role",
        "snapshot",
        "term",
        "voted_for",
    )

    def __init__(
        self,
        node_id: int,
        settings: Settings,
        random: Callable[[], float],
        saved: Saved = Saved(),  # noqa: B008 (immutable)
    ) -> None:
        self.id = node_id
        self.term, self.voted_for = saved.hard_state
        self.role = Role.FOLLOWER
        self.leader: int | None = None
        # What the log begins with is decided once, whatever a later life is told.
        first = saved.first_voters
        self._first_voters = settings.nodes if first is None else first
        self.snapshot = saved.snapshot or Snapshot(0, 0, Configuration(self._first_voters), ())
        index, term, configuration, _ = self.snapshot
        self.log = ReplicatedLog(saved.entries, configuration, index, term)
        self.commit_index = index

        self._settings = settings
        self._random = random
        self._next_snapshot = self._due_after(index)
        self._votes: set[int] = set()
        self._leader_heard = False
        self._patience_ns = 0
        self._assembly = Assembly()
        self._joins = False
        self._configuration = Configuration(())
        self._voters: tuple[int, ...] = ()
        self._majority = 1
        self._adopt_configuration()

        # A leader's.
        self._progress: dict[int, Progress] = {}
        self._voting: list[Progress] = []
        self._term_start = 0
        self._beats = 0
        self._reads = ReadRounds()
        self._transferee: int | None = None
        self.lost: list[LostEntries] = []
        """What followers have lost of what they had acknowledged, since this node leads."""

        # What ready() has not handed out yet.
        self._saved_state = saved.hard_state
        self._first_voters_saved = first is not None
        self._unsaved_from = self.log.last_index + 1
        self._snapshot_unsaved = False
        self._messages: list[Message] = []
        self._heartbeat_due = False
        self._restored: Snapshot | None = saved.snapshot
        self._applied = index
        self._reads_known: list[ReadIndex] = []
        self._lost: list[LostEntries] = []
        self._timer_ns: int | None = None
        self._draw_election_timeout()

    # -- what can happen ------------------------------------------------------------

    def join(self) -> None:
        """This server is no member: its life begins so that it can be made one.

        An earlier membership may have left a log that says it is a voter, as the first voters
        are by an empty one. By that it would stand whenever it hears of no leader, and depose
        those who do not know it (thesis §4.2.3). So it does not before its addition is in its
        log: as a learner first, and then by what the leader sends it.

        The log stays. Whoever still goes by members of long ago may need the votes of those who
        were removed since; what they have acknowledged must keep it from getting them (§5.4.1).
        """
        self._joins = self.id not in self._configuration.learners

    def timeout(self) -> None:
        """The node's timer expired.

        Ignored where something that happened since the last `ready()` restarts the timer: a
        heartbeat that came in time counts, even if a busy runtime reads it after the deadline.
        """
        if self._timer_ns is not None:
            return
        if self.role is Role.LEADER:
            self.heartbeat_timeout()
        elif self._patience_ns:
            # Others may take the leader for gone from now on; this node has more patience.
            self._leader_heard = False
            self._timer_ns, self._patience_ns = self._patience_ns, 0
        else:
            self.election_timeout()

    def election_timeout(self) -> None:
        """No leader was heard of for a whole timeout: stand for election (§5.2)."""
        self._leader_heard = False
        if not self._may_stand():
            self.leader = None
            self._draw_election_timeout()
        elif self._settings.pre_vote:
            self._ask_for_votes(Role.PRE_CANDIDATE, self.term + 1)
        else:
            self._stand()

    def heartbeat_timeout(self) -> None:
        """A leader's heartbeat interval passed: speak to every follower (§5.2)."""
        if self.role is not Role.LEADER:
            return
        self._heartbeat_due = True
        self._timer_ns = self._settings.heartbeat_ns
        for progress in self._progress.values():
            progress.heartbeat(self.log.last_index)
        self._beats += 1
        if self._beats * self._settings.heartbeat_ns >= self._settings.election_timeout_ns[0]:
            self._election_timeout_passed()
        self._promote_learners()

    def propose(self, commands: Sequence[Command]) -> int | None:
        """Append clients' commands, if this node leads (§5.3).

        Returns the first one's index (the others follow it without a gap, all in the
        present term), or None where the node is not the leader, or about to hand over.

        A change of membership that may not be made now becomes a no-op.
        """
        if self.role is not Role.LEADER or self._transferee is not None:
            return None
        first = self.log.last_index + 1
        if MEMBERSHIP.isdisjoint(map(operation, commands)):
            self.log.extend(entries_of(self.term, commands))
            if self._majority == 1:
                self._maybe_commit()  # Others wait for a follower's acknowledgement.
        else:
            self.log.append(entries_of(self.term, self._admitted(commands)))
            self._adopt_configuration()
            self._maybe_commit()
        return first

    def read(self) -> int | None:
        """A client asks for a read (thesis §6.4).

        Returns the round whose `ReadIndex` a later `ready()` brings, None where the node is
        not the leader.
        """
        return self._reads.ask() if self.role is Role.LEADER else None

    def transfer(self, to: int) -> bool:
        """Hand the leadership to a voter as soon as it has the whole log (thesis §3.10).

        If that takes more than an election timeout, this node goes on to lead. Returns
        False, and nothing happens, where it does not lead or `to` is no other voter.
        """
        if self.role is not Role.LEADER or to == self.id or to not in self._voters:
            return False
        self._transferee = to
        self._beats = 0
        self._hand_over()
        return True

    def take_snapshot(self, items: Sequence[Item], *, keep_tail: bool = True) -> None:
        """The state machine's items after all that `ready()` has handed out: compact the log.

        With `keep_tail`, what `Settings` says stays for followers that lag; it is the same
        stretch on all nodes that have applied as much.
        """
        index = self._applied
        if index > self.snapshot.last_index:
            term, configuration = self.log.term_at(index), self.log.configuration_at(index)
            self._keep(Snapshot(index, term, configuration, tuple(items)))
        if keep_tail:
            every = self._settings.snapshot_entries
            index = index // every * every - every // 4 if every else 0
        if index >= self.log.first_index:
            self.log.compact(index)

    @property
    def snapshot_due(self) -> bool:
        """Whether enough was applied since the last snapshot."""
        return self._applied >= self._next_snapshot

    @property
    def leader_hint(self) -> int | None:
        """Whom a client should ask."""
        return self.leader if self._transferee is None else self._transferee

    def step(self, message: Message) -> None:
        """A message arrived."""
        HANDLERS[type(message)](self, message)

    def request_vote(self, message: RequestVote) -> None:
        """A candidate asks for this node's vote (§5.2, §5.4.1)."""
        if message.pre_vote:
            self._request_pre_vote(message)
            return
        if self._settings.check_quorum and self._follows_a_leader() and not message.transfer:
            # A server that was removed, or cut off, must not disturb (thesis §4.2.3).
            return
        if message.term > self.term:
            self._become_follower(message.term)
        granted = (
            message.term == self.term
            and self.voted_for in (None, message.sender)
            and self.log.is_up_to_date(message.last_log_index, message.last_log_term)
        )
        if granted:
            self.voted_for = message.sender
            self._restart_election_timer()
        self._messages.append(RequestVoteReply(self.term, self.id, message.sender, granted))

    def _request_pre_vote(self, message: RequestVote) -> None:
        """A server asks whether it would get this node's vote (thesis §9.6)."""
        granted = (
            message.term > self.term
            and not self._follows_a_leader()
            and self.log.is_up_to_date(message.last_log_index, message.last_log_term)
        )
        term = message.term if granted else self.term
        self._messages.append(RequestVoteReply(term, self.id, message.sender, granted, True))

    def request_vote_reply(self, message: RequestVoteReply) -> None:
        """A vote was given or refused."""
        if message.pre_vote and message.granted:
            if self.role is Role.PRE_CANDIDATE and message.term == self.term + 1:
                self._votes.add(message.sender)
                self._count_votes()
        elif message.term > self.term:
            self._become_follower(message.term)
        elif message.term == self.term and self.role is Role.CANDIDATE and message.granted:
            self._votes.add(message.sender)
            self._count_votes()

    def append_entries(self, message: AppendEntries) -> None:
        """A leader sends entries or a heartbeat (§5.3)."""
        prev_index = message.prev_log_index
        if message.term < self.term:
            self._reply_to(message, False, prev_index)
            return
        self._follow(message.sender, message.term)

        if not self.log.matches(prev_index, message.prev_log_term):
            hint = self.log.last_possible_match(prev_index, message.prev_log_term)
            self._reply_to(message, False, prev_index, hint, self.log.term_at(hint))
            return
        if prev_index < self.commit_index and self._contradicts(message):
            return  # What was committed is in every leader's log (§5.4.3): this is none.
        written_from = self.log.merge(prev_index, message.entries)
        if written_from is not None:
            self._unsaved_from = min(self._unsaved_from, written_from)
            if self.log.configuration is not self._configuration:
                self._adopt_configuration()
        # Only up to here is the log known to be the leader's (figure 2, step 5).
        match_index = prev_index + len(message.entries)
        self.commit_index = max(self.commit_index, min(message.leader_commit, match_index))
        self._reply_to(message, True, match_index)

    def _contradicts(self, message: AppendEntries) -> bool:
        """Whether a message has another entry where one is committed here."""
        index = message.prev_log_index
        committed = message.entries[: self.commit_index - index]
        return not all(self.log.matches(n, e.term) for n, e in enumerate(committed, index + 1))

    def append_entries_reply(self, message: AppendEntriesReply) -> None:
        """A follower took or refused what this leader sent (§5.3)."""
        progress = self._progress_of(message)
        if progress is None or message.round < progress.first_round:
            return
        if message.log_index > self.log.last_index:
            return  # Nobody has what this leader never sent.
        if message.round > progress.read_round:
            progress.read_round = message.round
            self._confirm_reads()
        if not message.success:
            possible_match = self.log.last_possible_match(message.hint_index, message.hint_term)
            if message.log_index <= progress.match_index:
                self._refused_what_it_had(message, progress, possible_match)
            else:
                progress.rejected(message.log_index, possible_match)
        elif (
            progress.accepted(message.log_index, self._reads.latest)
            and message.log_index > self.commit_index
        ):
            self._maybe_commit()
        if message.sender == self._transferee:
            self._hand_over()

    def install_snapshot(self, message: InstallSnapshot) -> None:
        """A leader sends a piece of its snapshot (§7)."""
        index = message.snapshot_index
        if message.term < self.term:
            self._messages.append(
                InstallSnapshotReply(self.term, self.id, message.sender, index, 0)
            )
            return
        self._follow(message.sender, message.term)
        if index > self.commit_index:
            snapshot = self._assembly.add(message)
            if snapshot is None:
                received = self._assembly.received
                reply = InstallSnapshotReply(self.term, self.id, message.sender, index, received)
                self._messages.append(reply)
                return
            self._restore(snapshot)
        # What the snapshot covers is here, and it was committed: so far the logs match.
        self._messages.append(
            AppendEntriesReply(self.term, self.id, message.sender, True, index, round=message.round)
        )

    def install_snapshot_reply(self, message: InstallSnapshotReply) -> None:
        """A follower took a piece of the snapshot, or lacks one before it (§7)."""
        progress = self._progress_of(message)
        if progress is not None:
            progress.received(message.snapshot_index, message.received)

    def timeout_now(self, message: TimeoutNow) -> None:
        """The leader hands over to this node (thesis §3.10)."""
        if message.term > self.term:
            self._become_follower(message.term)
        if message.term == self.term and self.role is not Role.LEADER and self._may_stand():
            self._stand(transfer=True)

    # -- what to do about it --------------------------------------------------------

    def ready(self) -> Ready:
        """All that must be done now; each thing is handed out once."""
        if self.role is Role.LEADER:
            if self._reads.asked:
                self._begin_reads()
            self._replicate()
        messages, self._messages = self._messages, []
        restored, self._restored = self._restored, None
        reads: Sequence[ReadIndex] = ()
        if self._reads_known:
            reads, self._reads_known = self._reads_known, []
        lost: Sequence[LostEntries] = ()
        if self._lost:
            lost, self._lost = self._lost, []
        timer_ns, self._timer_ns = self._timer_ns, None
        committed: tuple[Entry, ...] = ()
        if self.commit_index > self._applied:
            committed = self.log.slice(self._applied + 1, self.commit_index)
            self._applied = self.commit_index
        save = self._take_save()
        return ready_of((save, messages, restored, committed, reads, timer_ns, lost))

    def _take_save(self) -> Save | None:
        term, voted_for = self._saved_state
        changed = self.term != term or self.voted_for != voted_for
        first, last = self._unsaved_from, self.log.last_index
        if first > last and not changed and not self._snapshot_unsaved:
            return None
        if changed:
            self._saved_state = HardState(self.term, self.voted_for)
        self._unsaved_from = last + 1
        snapshot = first_voters = None
        if self._snapshot_unsaved or not self._first_voters_saved:
            first_voters = self._first_voters
            self._first_voters_saved = True
        if self._snapshot_unsaved:
            self._snapshot_unsaved = False
            snapshot, changed = self.snapshot, True
            first = snapshot.last_index + 1
        state = self._saved_state if changed else None
        return save_of((state, first, self.log.slice(first, last), snapshot, first_voters))

    # -- becoming -------------------------------------------------------------------

    def _follow(self, leader: int, term: int) -> None:
        """Hear of the leader of a term that is not over."""
        if term > self.term or self.role is not Role.FOLLOWER:
            self._become_follower(term)
        known, self.leader = self.leader, leader
        self._leader_heard = self._settings.pre_vote or self._settings.check_quorum
        if leader == known:
            self._restart_election_timer()
        else:
            self._draw_election_timeout()

    def _become_follower(self, term: int) -> None:
        if self.role is Role.LEADER:
            # What ran until now was the heartbeat timer.
            self._draw_election_timeout()
            self._reads_known += self._reads.lose()
            self._transferee = None
            self.lost = []
        if term > self.term:
            self.term = term
            self.voted_for = None
        self.role = Role.FOLLOWER
        self.leader = None
        self._leader_heard = False

    def _stand(self, *, transfer: bool = False) -> None:
        """Begin a term as a candidate, with its own vote (§5.2)."""
        self.term += 1
        self.voted_for = self.id
        self._ask_for_votes(Role.CANDIDATE, self.term, transfer=transfer)

    def _ask_for_votes(self, role: Role, term: int, *, transfer: bool = False) -> None:
        self.role = role
        self.leader = None
        self._leader_heard = False
        self._votes = {self.id}
        self._draw_election_timeout()
        pre_vote = role is Role.PRE_CANDIDATE
        index, last_term = self.log.last_index, self.log.last_term
        self._messages += [
            RequestVote(term, self.id, peer, index, last_term, pre_vote, transfer)
            for peer in self._voters
            if peer != self.id
        ]
        self._count_votes()

    def _become_leader(self) -> None:
        self.role = Role.LEADER
        self.leader = self.id
        self._progress = {}
        self._track_followers()
        self.lost = []
        self._beats = 0
        # An entry of its own term lets the leader commit those of earlier ones (§5.4.2, §8).
        self._term_start = self.log.last_index + 1
        self.propose([NOOP])
        self.heartbeat_timeout()

    def _restore(self, snapshot: Snapshot) -> None:
        """Take a leader's snapshot for what this node has; what follows it may stay (§7)."""
        index, term, configuration, _ = snapshot
        if self.log.matches(index, term):
            self.log.compact(index)
        else:
            self.log = ReplicatedLog((), configuration, index, term)
        self._keep(snapshot)
        self._restored = snapshot
        self.commit_index = self._applied = index
        self._adopt_configuration()

    def _keep(self, snapshot: Snapshot) -> None:
        """Have this snapshot from now on, which is to be saved."""
        self.snapshot = snapshot
        self._snapshot_unsaved = True
        self._next_snapshot = self._due_after(snapshot.last_index)

    def _due_after(self, index: int) -> float:
        """When a snapshot is due: at each multiple of the setting."""
        every = self._settings.snapshot_entries
        return (index // every + 1) * every if every else math.inf

    # -- members ----------------------------------------------------------------------

    def _adopt_configuration(self) -> None:
        """Go by the latest configuration in the log, committed or not (thesis §4.1)."""
        self._configuration = self.log.configuration
        self._voters = self._configuration.voters
        self._majority = len(self._voters) // 2 + 1
        if self.id in self._configuration.learners:
            self._joins = False
        if self.role is Role.LEADER:
            self._track_followers()
            self._confirm_reads()

    def _track_followers(self) -> None:
        """Have a progress for each other member, and none for those who are gone."""
        following = self._progress
        self._progress = {}
        next_index, window = self.log.last_index + 1, self._settings.window
        for peer in self._configuration.members:
            if peer != self.id:
                new = Progress(next_index, window, self._settings.max_bytes)
                self._progress[peer] = following.get(peer, new)
        self._voting = [p for peer, p in self._progress.items() if peer in self._voters]

    def _may_stand(self) -> bool:
        """Whether this node is a voter, or is until its removal is committed (thesis §4.2.2)."""
        if self._joins:
            return False
        committed = self.log.configuration_at(self.commit_index)
        return self.id in self._voters or self.id in committed.voters

    def _may_change_members(self) -> bool:
        """Whether the last change is committed, and an entry of this term (thesis §4.1).

        The second condition is Ongaro's correction of 2015: a leader must know what its
        predecessors have committed before it changes who decides.
        """
        return self.commit_index >= max(self.log.configuration_index, self._term_start)

    def _admitted(self, commands: Sequence[Command]) -> list[Command]:
        """The commands, with a no-op for each change of membership that may not be made."""
        may_change = self._may_change_members()
        admitted = []
        for command in commands:
            if command.op in MEMBERSHIP:
                if may_change and self.log.configuration.allows(command):
                    may_change = False
                else:
                    command = NOOP
            admitted.append(command)
        return admitted

    def _promote_learners(self) -> None:
        """Make a voter of a learner that keeps up with the log (thesis §4.2.1)."""
        for learner in self.log.configuration.learners:
            progress = self._progress.get(learner)
            if progress is not None and progress.caught_up and self._may_change_members():
                self.propose([Command(PROMOTE_SERVER, str(learner))])

    # -- counting -------------------------------------------------------------------

    def _count_votes(self) -> None:
        if len(self._votes.intersection(self._voters)) < self._majority:
            return
        if self.role is Role.PRE_CANDIDATE:
            self._stand()
        else:
            self._become_leader()

    def _maybe_commit(self) -> None:
        """Advance the commit index to what a majority has (§5.3, §5.4.2).

        The leader counts itself up to its log's end: what it has not saved yet, it
        saves in the same step, before anyone hears of the commit.
        """
        matches = [progress.match_index for progress in self._voting]
        if self.id in self._voters:
            matches.append(self.log.last_index)
        matches.sort(reverse=True)
        index = matches[self._majority - 1]
        # Counting replicas commits only entries of the leader's own term (figure 8).
        if index > self.commit_index and self.log.term_at(index) == self.term:
            self.commit_index = index
            self._leave_if_removed()

    def _leave_if_removed(self) -> None:
        """Lead no longer once a configuration without this node is committed (thesis §4.2.2)."""
        if self.id in self._voters or self.log.configuration_index > self.commit_index:
            return
        successor = max(self._voters, key=lambda peer: self._progress[peer].match_index)
        self._messages.append(TimeoutNow(self.term, self.id, successor))
        self._become_follower(self.term)

    def _election_timeout_passed(self) -> None:
        """A leader that heard of no majority for as long steps down (thesis §6.2)."""
        self._beats = 0
        self._transferee = None
        if self._settings.check_quorum:
            active = sum(progress.active for progress in self._voting) + (self.id in self._voters)
            for progress in self._progress.values():
                progress.active = False
            if active < self._majority:
                self._become_follower(self.term)

    def _confirm_reads(self) -> None:
        if self._reads.waiting:
            heard = [progress.read_round for progress in self._voting]
            if self.id in self._voters:
                heard.append(self._reads.latest)
            self._reads_known += self._reads.confirm(heard, self._majority)

    # -- speaking -------------------------------------------------------------------

    def _reply_to(
        self,
        message: AppendEntries,
        success: bool,
        log_index: int,
        hint_index: int = 0,
        hint_term: int = 0,
    ) -> None:
        self._messages.append(
            append_entries_reply_of(
                (
                    self.term,
                    self.id,
                    message.sender,
                    success,
                    log_index,
                    hint_index,
                    hint_term,
                    message.round,
                )
            )
        )

    def _progress_of(self, reply: AppendEntriesReply | InstallSnapshotReply) -> Progress | None:
        """The progress that a reply tells of, None where it tells a leader nothing."""
        if reply.term > self.term:
            self._become_follower(reply.term)
            return None
        if reply.term < self.term or self.role is not Role.LEADER:
            return None
        progress = self._progress.get(reply.sender)
        if progress is not None:
            progress.active = True
        return progress

    def _refused_what_it_had(
        self, refusal: AppendEntriesReply, progress: Progress, possible_match: int
    ) -> None:
        """A follower refused entries after some that it had acknowledged.

        If that was asked before the acknowledgement came, the refusal is old and must not lower
        anything. Otherwise the follower's storage has failed its promise: the leader says so,
        and goes by what is there from now on.
        """
        if refusal.round <= progress.match_round:
            # Which it is, the answer to the next heartbeat will tell.
            if progress.match_round == self._reads.latest:
                self._reads.renew()
            return
        lost = LostEntries(refusal.sender, possible_match + 1, progress.match_index)
        self.lost.append(lost)
        self._lost.append(lost)
        progress.begin_anew(possible_match, self._reads.renew())

    def _follows_a_leader(self) -> bool:
        """Whether a leader was heard of within the least election timeout, if only by itself."""
        return self._leader_heard or self.role is Role.LEADER

    def _begin_reads(self) -> None:
        """Begin a round of reads, whose heartbeats leave now.

        What earlier leaders committed is before this one's first entry, so that the reads
        see it even if this one has committed nothing yet (thesis §6.4, step 1).
        """
        self._reads.begin(max(self.commit_index, self._term_start))
        self._heartbeat_due = True
        self._confirm_reads()

    def _hand_over(self) -> None:
        assert self._transferee is not None
        if self._progress[self._transferee].match_index == self.log.last_index:
            self._messages.append(TimeoutNow(self.term, self.id, self._transferee))

    def _replicate(self) -> None:
        """Send each follower what it lacks, and a heartbeat if one is due."""
        first_kept, last = self.log.first_index, self.log.last_index
        # Followers that are as far as each other are sent the same.
        batches: dict[int, tuple[tuple[Entry, ...], int]] = {}
        for peer, progress in self._progress.items():
            silent = self._heartbeat_due
            if progress.next_index > last and not silent:
                continue  # It has, or was sent, all that there is.
            if progress.next_index < first_kept and progress.snapshot is None:
                progress.install(self.snapshot)
            if progress.snapshot is not None:
                if progress.may_send:
                    self._send_items(peer, progress, progress.snapshot)
                elif silent:
                    self._send_piece(peer, progress.snapshot, progress.offset, (), done=False)
                continue
            while progress.next_index <= last and progress.may_send:
                first = progress.next_index
                if first not in batches:
                    end = min(last, first + self._settings.max_entries - 1)
                    batches[first] = self.log.batch(first, end, self._settings.max_bytes)
                entries, size = batches[first]
                self._send_entries(peer, first - 1, entries)
                progress.sent(first + len(entries) - 1, size)
                silent = False
            if silent:
                prev = progress.heartbeat_index
                if prev < first_kept - 1:
                    prev = progress.next_index - 1
                self._send_entries(peer, prev, ())
        self._heartbeat_due = False

    def _send_entries(self, peer: int, prev: int, entries: tuple[Entry, ...]) -> None:
        self._messages.append(
            append_entries_of(
                (
                    self.term,
                    self.id,
                    peer,
                    prev,
                    self.log.term_at(prev),
                    entries,
                    self.commit_index,
                    self._reads.latest,
                )
            )
        )

    def _send_items(self, peer: int, progress: Progress, snapshot: Snapshot) -> None:
        """Send the next items of a snapshot (§7, figure 13)."""
        start = progress.offset
        items = snapshot.items[start : start + self._settings.max_entries]
        count, size = fitting(items, size_of_item, self._settings.max_bytes)
        done = start + count == len(snapshot.items)
        self._send_piece(peer, snapshot, start, items[:count], done=done)
        progress.sent(snapshot.last_index, size)

    def _send_piece(
        self, peer: int, snapshot: Snapshot, offset: int, items: tuple[Item, ...], *, done: bool
    ) -> None:
        index, term, configuration, _ = snapshot
        self._messages.append(
            InstallSnapshot(
                self.term,
                self.id,
                peer,
                index,
                term,
                configuration,
                offset,
                items,
                done,
                self._reads.latest,
            )
        )

    def _draw_election_timeout(self) -> None:
        low, high = self._settings.election_timeout_ns
        self.election_timeout_ns = low + int((high - low) * self._random())
        self._restart_election_timer()

    def _restart_election_timer(self) -> None:
        """Let the timeout run anew; where a leader was heard of, its least part first."""
        whole_ns, least_ns = self.election_timeout_ns, self._settings.election_timeout_ns[0]
        if self._leader_heard:
            self._timer_ns, self._patience_ns = least_ns, whole_ns - least_ns
        else:
            self._timer_ns, self._patience_ns = whole_ns, 0


# Outside of the class, whose methods a compiled one has only once it is whole.
HANDLERS: dict[type[Message], Callable[[Any, Any], None]] = {
    RequestVote: Node.request_vote,
    RequestVoteReply: Node.request_vote_reply,
    AppendEntries: Node.append_entries,
    AppendEntriesReply: Node.append_entries_reply,
    InstallSnapshot: Node.install_snapshot,
    InstallSnapshotReply: Node.install_snapshot_reply,
    TimeoutNow: Node.timeout_now,
}
