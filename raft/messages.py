"""The values that move: commands, log entries, what is saved, and the four messages.

All are immutable tuples, so that one process may pass them by reference between its
nodes, and a serialiser writes them as arrays, in the order of their fields.
"""

from typing import NamedTuple, TypeAlias


class Command(NamedTuple):
    """What a client asks of the state machine.

    `op` is "set", "get", "cas" or "noop". A command of a client session carries the
    client's name and a serial number that rises by one with each new command; one
    without a session has `client` None and `serial` 0.
    """

    op: str
    key: str = ""
    value: str | None = None
    expect: str | None = None
    client: str | None = None
    serial: int = 0


NOOP = Command("noop")


class Entry(NamedTuple):
    """A log entry: a command, and the term in which a leader received it."""

    term: int
    command: Command


class HardState(NamedTuple):
    """What a node must remember besides its log (paper's figure 2, persistent state)."""

    term: int = 0
    voted_for: int | None = None


class Save(NamedTuple):
    """What must be durable before any message of the same step leaves.

    `hard_state` is None where it has not changed. `entries` take the place of the saved
    log from `first_index` on: where that is not past the saved log's end, its tail is
    deleted first. Empty `entries` change no log.
    """

    hard_state: HardState | None
    first_index: int
    entries: tuple[Entry, ...]


class RequestVote(NamedTuple):
    """A candidate asks for a vote (§5.2, §5.4.1)."""

    term: int
    sender: int
    to: int
    last_log_index: int
    last_log_term: int


class RequestVoteReply(NamedTuple):
    """The answer to `RequestVote`."""

    term: int
    sender: int
    to: int
    granted: bool


class AppendEntries(NamedTuple):
    """A leader sends entries, or none as a heartbeat (§5.2, §5.3)."""

    term: int
    sender: int
    to: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int


class AppendEntriesReply(NamedTuple):
    """The answer to `AppendEntries`.

    On success `log_index` is the last index at which the follower's log is known to match.
    On a refusal `log_index` is the `prev_log_index` refused, and the hint names the last
    entry of the follower's that could match: the largest index up to `log_index` whose term
    is not above the refused `prev_log_term`, with its term (§5.3, fast back-up).
    """

    term: int
    sender: int
    to: int
    success: bool
    log_index: int
    hint_index: int = 0
    hint_term: int = 0


Message: TypeAlias = RequestVote | RequestVoteReply | AppendEntries | AppendEntriesReply
