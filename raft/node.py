"""One Raft server as a pure state machine (§5): events in, a `Ready` out.

Everything that decides an election or a commit is in this file. A runtime tells the
node what happened, by the method of that name, as often as it likes; then it takes
`ready()` and does what it says **in this order**:

1. make `save` durable,
2. send `messages`,
3. apply `committed` to the state machine and answer the clients that wait,
4. restart the timer, if `timer_ns` says so.

That order is the runtime's whole duty to safety: no message leaves and no client hears
of anything that a crash could still take back.

Whatever happened between two calls of `ready()` becomes one save and one message per
follower, so that a busy runtime batches without being told to.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from raft.log import ReplicatedLog
from raft.messages import (
    NOOP,
    AppendEntries,
    AppendEntriesReply,
    Command,
    Entry,
    HardState,
    Message,
    RequestVote,
    RequestVoteReply,
    Save,
)
from raft.progress import Progress


class Role(enum.Enum):
    """The three states of a server (§5.1)."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Settings(NamedTuple):
    """What all nodes of a cluster share.

    `election_timeout_ns` is the range from which each timeout is drawn, `max_entries`
    bounds one AppendEntries, `window` the number of them under way to a follower.
    """

    nodes: tuple[int, ...]
    election_timeout_ns: tuple[int, int]
    heartbeat_ns: int
    max_entries: int = 1024
    window: int = 16


class Ready(NamedTuple):
    """What the runtime must do now, in the order of the fields."""

    save: Save | None
    messages: list[Message]
    committed: tuple[Entry, ...]
    timer_ns: int | None


class Node:
    """A server's view of the cluster; see the module for how a runtime drives it.

    A node has one timer: a leader's asks for heartbeats, any other's for an election.
    `random` returns floats from [0, 1) and is called once for each timeout drawn.
    `hard_state` and `entries` are what the storage kept from an earlier life.
    """

    def __init__(
        self,
        node_id: int,
        settings: Settings,
        random: Callable[[], float],
        hard_state: HardState = HardState(),  # noqa: B008 (immutable)
        entries: Iterable[Entry] = (),
    ) -> None:
        self.id = node_id
        self.term = hard_state.term
        self.voted_for = hard_state.voted_for
        self.role = Role.FOLLOWER
        self.leader: int | None = None
        self.log = ReplicatedLog(entries)
        self.commit_index = 0

        self._settings = settings
        self._random = random
        self._peers = tuple(n for n in settings.nodes if n != node_id)
        self._majority = len(settings.nodes) // 2 + 1
        self._votes: set[int] = set()
        self._progress: dict[int, Progress] = {}

        # What ready() has not handed out yet.
        self._saved_state = hard_state
        self._unsaved_from = self.log.last_index + 1
        self._messages: list[Message] = []
        self._heartbeat_due = False
        self._applied = 0
        self._timer_ns: int | None = None
        self._restart_election_timer()

    # -- what can happen ------------------------------------------------------------

    def timeout(self) -> None:
        """The node's timer expired.

        Ignored where something that happened since the last `ready()` restarts the timer: a
        heartbeat that came in time counts, even if a busy runtime reads it after the deadline.
        """
        if self._timer_ns is not None:
            return
        if self.role is Role.LEADER:
            self.heartbeat_timeout()
        else:
            self.election_timeout()

    def election_timeout(self) -> None:
        """No leader was heard of for a whole timeout: stand for election (§5.2)."""
        self.term += 1
        self.role = Role.CANDIDATE
        self.leader = None
        self.voted_for = self.id
        self._votes = {self.id}
        self._restart_election_timer()
        log = self.log
        for peer in self._peers:
            self._messages.append(
                RequestVote(self.term, self.id, peer, log.last_index, log.last_term)
            )
        self._count_votes()

    def heartbeat_timeout(self) -> None:
        """A leader's heartbeat interval passed: speak to every follower (§5.2)."""
        self._heartbeat_due = True
        self._timer_ns = self._settings.heartbeat_ns
        for progress in self._progress.values():
            progress.heartbeat()

    def propose(self, commands: Sequence[Command]) -> int | None:
        """Append clients' commands, if this node leads (§5.3).

        Returns the first one's index (the others follow it without a gap, all in the
        present term), or None where the node is not the leader.
        """
        if self.role is not Role.LEADER:
            return None
        first = self.log.last_index + 1
        term = self.term
        self.log.append([Entry(term, command) for command in commands])
        self._maybe_commit()
        return first

    def step(self, message: Message) -> None:
        """A message arrived."""
        self._HANDLERS[type(message)](self, message)

    def request_vote(self, message: RequestVote) -> None:
        """A candidate asks for this node's vote (§5.2, §5.4.1)."""
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

    def request_vote_reply(self, message: RequestVoteReply) -> None:
        """A vote was given or refused."""
        if message.term > self.term:
            self._become_follower(message.term)
        elif message.term == self.term and self.role is Role.CANDIDATE and message.granted:
            self._votes.add(message.sender)
            self._count_votes()

    def append_entries(self, message: AppendEntries) -> None:
        """A leader sends entries or a heartbeat (§5.3)."""
        if message.term < self.term:
            self._messages.append(
                AppendEntriesReply(
                    self.term, self.id, message.sender, False, message.prev_log_index
                )
            )
            return
        if message.term > self.term or self.role is not Role.FOLLOWER:
            self._become_follower(message.term)
        self.leader = message.sender
        self._restart_election_timer()

        prev_index = message.prev_log_index
        if not self.log.matches(prev_index, message.prev_log_term):
            hint = self.log.last_possible_match(prev_index, message.prev_log_term)
            self._messages.append(
                AppendEntriesReply(
                    self.term,
                    self.id,
                    message.sender,
                    False,
                    prev_index,
                    hint,
                    self.log.term_at(hint),
                )
            )
            return
        written_from = self.log.merge(prev_index, message.entries)
        if written_from is not None and written_from < self._unsaved_from:
            self._unsaved_from = written_from
        # Only up to here is the log known to be the leader's (figure 2, step 5).
        match_index = prev_index + len(message.entries)
        self.commit_index = max(self.commit_index, min(message.leader_commit, match_index))
        self._messages.append(
            AppendEntriesReply(self.term, self.id, message.sender, True, match_index)
        )

    def append_entries_reply(self, message: AppendEntriesReply) -> None:
        """A follower took or refused what this leader sent (§5.3)."""
        if message.term > self.term:
            self._become_follower(message.term)
            return
        if message.term < self.term or self.role is not Role.LEADER:
            return
        progress = self._progress[message.sender]
        if not message.success:
            possible_match = self.log.last_possible_match(message.hint_index, message.hint_term)
            progress.rejected(message.log_index, possible_match)
        elif progress.accepted(message.log_index):
            self._maybe_commit()

    # -- what to do about it --------------------------------------------------------

    def ready(self) -> Ready:
        """All that must be done now; each thing is handed out once."""
        if self.role is Role.LEADER:
            self._replicate()
        messages, self._messages = self._messages, []
        timer_ns, self._timer_ns = self._timer_ns, None
        committed: tuple[Entry, ...] = ()
        if self.commit_index > self._applied:
            committed = self.log.slice(self._applied + 1, self.commit_index)
            self._applied = self.commit_index
        return Ready(self._take_save(), messages, committed, timer_ns)

    def _take_save(self) -> Save | None:
        changed = (self.term, self.voted_for) != self._saved_state
        first, last = self._unsaved_from, self.log.last_index
        if not changed and first > last:
            return None
        if changed:
            self._saved_state = HardState(self.term, self.voted_for)
        self._unsaved_from = last + 1
        return Save(self._saved_state if changed else None, first, self.log.slice(first, last))

    # -- becoming -------------------------------------------------------------------

    def _become_follower(self, term: int) -> None:
        if self.role is Role.LEADER:
            # What ran until now was the heartbeat timer.
            self._restart_election_timer()
        if term > self.term:
            self.term = term
            self.voted_for = None
        self.role = Role.FOLLOWER
        self.leader = None

    def _become_leader(self) -> None:
        self.role = Role.LEADER
        self.leader = self.id
        next_index = self.log.last_index + 1
        self._progress = {peer: Progress(next_index, self._settings.window) for peer in self._peers}
        # An entry of its own term lets the leader commit those of earlier ones (§5.4.2, §8).
        self.propose([NOOP])
        self.heartbeat_timeout()

    # -- counting -------------------------------------------------------------------

    def _count_votes(self) -> None:
        if len(self._votes) >= self._majority:
            self._become_leader()

    def _maybe_commit(self) -> None:
        """Advance the commit index to what a majority has (§5.3, §5.4.2).

        The leader counts itself up to its log's end: what it has not saved yet, it
        saves in the same step, before anyone hears of the commit.
        """
        matches = [progress.match_index for progress in self._progress.values()]
        matches.append(self.log.last_index)
        matches.sort(reverse=True)
        index = matches[self._majority - 1]
        # Counting replicas commits only entries of the leader's own term (figure 8).
        if index > self.commit_index and self.log.term_at(index) == self.term:
            self.commit_index = index

    # -- speaking -------------------------------------------------------------------

    def _replicate(self) -> None:
        """Send each follower what it lacks, and a heartbeat if one is due."""
        last = self.log.last_index
        for peer, progress in self._progress.items():
            silent = self._heartbeat_due
            while progress.next_index <= last and progress.may_send:
                end = min(last, progress.next_index + self._settings.max_entries - 1)
                self._send_entries(peer, progress, end)
                silent = False
                progress.sent(end)
            if silent:
                self._send_entries(peer, progress, progress.next_index - 1)
        self._heartbeat_due = False

    def _send_entries(self, peer: int, progress: Progress, end: int) -> None:
        prev = progress.next_index - 1
        self._messages.append(
            AppendEntries(
                self.term,
                self.id,
                peer,
                prev,
                self.log.term_at(prev),
                self.log.slice(prev + 1, end),
                self.commit_index,
            )
        )

    def _restart_election_timer(self) -> None:
        low, high = self._settings.election_timeout_ns
        self._timer_ns = low + int((high - low) * self._random())

    _HANDLERS: ClassVar[dict[type[Message], Callable[[Any, Any], None]]] = {
        RequestVote: request_vote,
        RequestVoteReply: request_vote_reply,
        AppendEntries: append_entries,
        AppendEntriesReply: append_entries_reply,
    }
