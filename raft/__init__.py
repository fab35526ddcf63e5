"""The Raft algorithm, and the interface that its Python implementations share.

Everything the Raft paper says happens in this package, and nothing that is concurrent:
`Node` does no I/O, reads no clock, starts no thread and is handed its randomness. The
`impl_*` packages own all of that. Sections (§) are those of Ongaro & Ousterhout, "In
Search of an Understandable Consensus Algorithm (Extended Version)".
"""

from raftmark.raft.log import ReplicatedLog
from raftmark.raft.messages import (
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
)
from raftmark.raft.node import Node, Ready, Role, Settings
from raftmark.raft.reads import ReadIndex
from raftmark.raft.state_machine import StateMachine

__all__ = [
    "AppendEntries",
    "AppendEntriesReply",
    "Command",
    "Configuration",
    "Entry",
    "HardState",
    "InstallSnapshot",
    "InstallSnapshotReply",
    "Item",
    "Message",
    "Node",
    "ReadIndex",
    "Ready",
    "ReplicatedLog",
    "RequestVote",
    "RequestVoteReply",
    "Role",
    "Save",
    "Saved",
    "Settings",
    "Snapshot",
    "StateMachine",
    "TimeoutNow",
]
