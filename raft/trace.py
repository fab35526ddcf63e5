"""Messages between nodes as the events of docs/protocol.md, where `start` asks for them.

What a message carries is told only as far as one needs to follow the algorithm: indices and
counts, no commands.
"""

from typing import Any

from raftmark.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)


def message_event(message: Message, at_ns: int) -> dict[str, Any]:
    """The event of a message that was sent at a time."""
    kind, content = _describe(message)
    return {
        "event": "message",
        "type": kind,
        "from": message.sender,
        "to": message.to,
        "term": message.term,
        **content,
        "at_ns": at_ns,
    }


def _describe(message: Message) -> tuple[str, dict[str, Any]]:
    match message:
        case RequestVote():
            return "request_vote", {
                "last_index": message.last_log_index,
                "last_term": message.last_log_term,
                "pre_vote": message.pre_vote,
            }
        case RequestVoteReply():
            return "request_vote_reply", {
                "granted": message.granted,
                "pre_vote": message.pre_vote,
            }
        case AppendEntries():
            return "append_entries", {
                "previous": message.prev_log_index,
                "entries": len(message.entries),
                "commit": message.leader_commit,
            }
        case AppendEntriesReply():
            return "append_entries_reply", {
                "success": message.success,
                "index": message.log_index,
            }
        case InstallSnapshot():
            return "install_snapshot", {"index": message.snapshot_index, "done": message.done}
        case InstallSnapshotReply():
            return "install_snapshot_reply", {"index": message.snapshot_index}
        case TimeoutNow():
            return "timeout_now", {}
