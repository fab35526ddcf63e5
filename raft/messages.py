"""The values that move: commands, log entries, snapshots, what is saved, and the messages.

All are immutable tuples, so that one process may pass them by reference between its
nodes, and a serialiser writes them as arrays, in the order of their fields.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain
from operator import itemgetter
from typing import NamedTuple, TypeAlias, TypeVar

MAX_KEY_BYTES = 64 * 1024
MAX_VALUE_BYTES = 512 * 1024
"""Of what clients may ask; a session's name has as many as a key."""


class Command(NamedTuple):
    """What a client asks of the state machine.

    `op` is "set", "get", "cas" or "noop", or one of `MEMBERSHIP`, whose `key` is a server's
    id. A command of a client session carries the client's name and a serial number that
    rises by one with each new command; one without a session has `client` None and
    `serial` 0.
    """

    op: str
    key: str = ""
    value: str | None = None
    expect: str | None = None
    client: str | None = None
    serial: int = 0


NOOP = Command("noop")

ADD_SERVER, PROMOTE_SERVER, REMOVE_SERVER = "add_server", "promote_server", "remove_server"
MEMBERSHIP = frozenset((ADD_SERVER, PROMOTE_SERVER, REMOVE_SERVER))


class Entry(NamedTuple):
    """A log entry: a command, and the term in which a leader received it."""

    term: int
    command: Command


# Fields by their place: without a call of Python's for each entry.
command_of = itemgetter(1)
texts_of = itemgetter(1, 2, 3, 4)


def size_of_text(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def size_of_entries(entries: Iterable[Entry]) -> int:
    """The bytes of these entries' texts: what makes one entry larger than another."""
    texts = list(filter(None, chain.from_iterable(map(texts_of, map(command_of, entries)))))
    if all(map(str.isascii, texts)):
        return sum(map(len, texts))
    return sum(map(size_of_text, texts))


def size_of_entry(entry: Entry) -> int:
    """The bytes of an entry's texts."""
    return size_of_entries((entry,))


class Configuration(NamedTuple):
    """The cluster's members (thesis §4): `voters` decide, `learners` only receive entries.

    Both are in ascending order. (Thesis: D. Ongaro, "Consensus: Bridging Theory and
    Practice", 2014.)
    """

    voters: tuple[int, ...]
    learners: tuple[int, ...] = ()

    @property
    def members(self) -> tuple[int, ...]:
        """All who receive entries."""
        return self.voters + self.learners

    def changed_by(self, command: Command) -> "Configuration":
        """The configuration after a command of `MEMBERSHIP`."""
        server = int(command.key)
        voters = tuple(n for n in self.voters if n != server)
        learners = tuple(n for n in self.learners if n != server)
        if command.op == ADD_SERVER:
            learners = tuple(sorted((*learners, server)))
        elif command.op == PROMOTE_SERVER:
            voters = tuple(sorted((*voters, server)))
        return Configuration(voters, learners)

    def allows(self, command: Command) -> bool:
        """Whether a command of `MEMBERSHIP` makes sense here."""
        server = int(command.key)
        if command.op == ADD_SERVER:
            return server not in self.members
        if command.op == PROMOTE_SERVER:
            return server in self.learners
        return server in self.members and self.voters != (server,)


class Item(NamedTuple):
    """A piece of the state machine's state.

    With `serial` 0 it is a key, `name`, and its value; otherwise a client session, its
    last serial and the result of that.
    """

    name: str
    value: str | bool | None
    serial: int


def size_of_item(item: Item) -> int:
    """The bytes of an item's texts."""
    size = size_of_text(item.name)
    if isinstance(item.value, str):
        size += size_of_text(item.value)
    return size


Value = TypeVar("Value")


def fitting(
    values: Iterable[Value], size_of: Callable[[Value], int], max_bytes: int
) -> tuple[int, int]:
    """How many of the first values one message has room for, and their size.

    At least one, if there is any: what is larger than a message should be travels alone.
    """
    count = size = 0
    for total in accumulate(map(size_of, values)):
        if total > max_bytes and count:
            break
        size = total
        count += 1
    return count, size


class Snapshot(NamedTuple):
    """The state after applying the log up to `last_index`, whose entry is of `last_term` (§7).

    `configuration` is the one in force there.
    """

    last_index: int
    last_term: int
    configuration: Configuration
    items: tuple[Item, ...]


class HardState(NamedTuple):
    """What a node must remember besides its log (paper's figure 2, persistent state)."""

    term: int = 0
    voted_for: int | None = None


class Save(NamedTuple):
    """What must be durable before any message of the same step leaves.

    `hard_state` is None where it has not changed. `entries` take the place of the saved
    log from `first_index` on: where that is not past the saved log's end, its tail is
    deleted first. Empty `entries` change no log.

    A save with a snapshot replaces everything that was saved: it has a hard state, the first
    voters, and `entries` are all those after the snapshot. `first_voters` are the configuration
    that the log begins with, in each node's first save; None where they are saved already.
    """

    hard_state: HardState | None
    first_index: int
    entries: tuple[Entry, ...]
    snapshot: Snapshot | None = None
    first_voters: tuple[int, ...] | None = None


class Saved(NamedTuple):
    """What an earlier life of a node left: `entries` are those after the snapshot.

    `first_voters` is None where nothing was saved yet, or by a revision that did not keep them.
    """

    hard_state: HardState = HardState()
    entries: Sequence[Entry] = ()
    snapshot: Snapshot | None = None
    first_voters: tuple[int, ...] | None = None


class RequestVote(NamedTuple):
    """A candidate asks for a vote (§5.2, §5.4.1).

    With `pre_vote` it asks whether it would get one in `term`, which it has not entered
    yet (thesis §9.6). With `transfer` its leader has told it to stand (thesis §3.10).
    """

    term: int
    sender: int
    to: int
    last_log_index: int
    last_log_term: int
    pre_vote: bool = False
    transfer: bool = False


class RequestVoteReply(NamedTuple):
    """The answer to `RequestVote`; a pre-vote is granted in the term that it asked for."""

    term: int
    sender: int
    to: int
    granted: bool
    pre_vote: bool = False


class AppendEntries(NamedTuple):
    """A leader sends entries, or none as a heartbeat (§5.2, §5.3).

    `round` numbers the leader's rounds of asking whether it still is one (thesis §6.4).
    """

    term: int
    sender: int
    to: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int
    round: int = 0


class AppendEntriesReply(NamedTuple):
    """The answer to `AppendEntries`.

    On success `log_index` is the last index at which the follower's log is known to match.
    On a refusal `log_index` is the `prev_log_index` refused, and the hint names the last
    entry of the follower's that could match: the largest index up to `log_index` whose term
    is not above the refused `prev_log_term`, with its term (§5.3, fast back-up).

    `round` is that of the `AppendEntries`.
    """

    term: int
    sender: int
    to: int
    success: bool
    log_index: int
    hint_index: int = 0
    hint_term: int = 0
    round: int = 0


class InstallSnapshot(NamedTuple):
    """A leader sends a piece of its snapshot (§7): the items from number `offset` on.

    `done` marks the last piece. It is answered with an `InstallSnapshotReply`, or once the
    snapshot is whole, or not needed, with an `AppendEntriesReply` for its index and `round`.
    A piece without items asks how many the follower has, and is the heartbeat meanwhile.
    """

    term: int
    sender: int
    to: int
    snapshot_index: int
    snapshot_term: int
    configuration: Configuration
    offset: int
    items: tuple[Item, ...]
    done: bool
    round: int = 0


class InstallSnapshotReply(NamedTuple):
    """How many items of the snapshot at `snapshot_index` the follower has."""

    term: int
    sender: int
    to: int
    snapshot_index: int
    received: int


class TimeoutNow(NamedTuple):
    """A leader hands over: stand for election at once (thesis §3.10)."""

    term: int
    sender: int
    to: int


Message: TypeAlias = (
    RequestVote
    | RequestVoteReply
    | AppendEntries
    | AppendEntriesReply
    | InstallSnapshot
    | InstallSnapshotReply
    | TimeoutNow
)
