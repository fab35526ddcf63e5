"""What replies say: errors, outcomes, log entries and status as docs/protocol.md has them."""

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from raftmark.raft.client import Applied, Value
from raftmark.raft.cluster import LogSlice, RoleChange
from raftmark.raft.errors import RaftError, Unavailable
from raftmark.raft.messages import Command, Entry
from raftmark.raft.storage import StorageError

Reply = dict[str, Any]

MAX_LOG_ENTRIES = 5000


def refusal(error: Exception) -> dict[str, Any]:
    """An error as a reply has it. A fault of the contender's own is shown to people, too."""
    if isinstance(error, StorageError):
        error = Unavailable(str(error))
    if not isinstance(error, RaftError):
        traceback.print_exception(error)
        error = RaftError(f"{type(error).__name__}: {error}")
    return {"code": error.code, "message": str(error), **error.details}


def described(outcome: Applied | Value | RaftError) -> Reply:
    """What became of a command or a read, as a reply has it."""
    if isinstance(outcome, RaftError):
        return {"error": refusal(outcome)}
    if isinstance(outcome, Value):
        return {"ok": {"index": outcome.log_index, "value": outcome.value}}
    index, term, result = outcome
    return {"ok": {"index": index, "term": term, "result": result}}


def describe(command: Command) -> dict[str, Any]:
    """A command as the protocol's `log` shows it."""
    described: dict[str, Any] = {"op": command.op}
    if command.op != "noop":
        described["key"] = command.key
    if command.op == "cas":
        described["expect"] = command.expect
    if command.op in ("set", "cas"):
        described["value"] = command.value
    if command.client is not None:
        described |= {"client": command.client, "serial": command.serial}
    return described


def log_page(log: Callable[[int, int], LogSlice], first: int, last: int) -> LogSlice:
    """The first entries of a stretch of a log, as many as are told at a time."""
    piece = log(first, min(last, first + MAX_LOG_ENTRIES - 1))
    if piece.first_index >= first + MAX_LOG_ENTRIES:
        # All of that is compacted away.
        return log_page(log, piece.first_index, last)
    return piece


def log_slice(piece: LogSlice, *, by_columns: bool) -> Reply:
    """A stretch of a log as the protocol's `log` shows it: by entries, or by their fields."""
    ends = {"last_index": piece.last_index, "commit_index": piece.commit_index}
    if by_columns:
        return {"first_index": piece.first_index, **_columns(piece.entries), **ends}
    entries = [
        {"index": index, "term": term, "command": describe(command)}
        for index, (term, command) in enumerate(piece.entries, piece.first_index)
    ]
    return {"entries": entries, **ends}


def _columns(entries: Sequence[Entry]) -> Reply:
    """Entries field by field, each value once: a log repeats its terms and its texts."""
    names = ("term", *Command._fields)
    fields = zip(*((term, *command) for term, command in entries), strict=True)
    columns = map(_column, fields if entries else [()] * len(names))
    return {"count": len(entries), "columns": dict(zip(names, columns, strict=True))}


def _column(values: Sequence[Any]) -> Reply:
    distinct = list(dict.fromkeys(values))
    if len(distinct) < 2:
        return {"values": distinct}
    places = {value: place for place, value in enumerate(distinct)}
    return {"values": distinct, "at": [places[value] for value in values]}


def role_event(change: RoleChange) -> Reply:
    """A node changed its role, its term or the leader that it knows."""
    return {
        "event": "role",
        "node": change.node,
        "role": change.role.value,
        "term": change.term,
        "leader": change.leader,
        "at_ns": change.at_ns,
    }


def fault_event(node: int, error: Exception) -> Reply:
    """A node ceased by a fault of its own."""
    return {
        "event": "fault",
        "node": node,
        "message": refusal(error)["message"],
        "at_ns": time.monotonic_ns(),
    }
