package host

import "raftmark/raft"

// A messageEvent tells of a message between two nodes. What it carries is told, in the types
// below, only as far as one needs it to follow the algorithm: indices and counts, no commands.
type messageEvent struct {
	Event string      `json:"event"`
	Type  string      `json:"type"`
	From  raft.NodeID `json:"from"`
	To    raft.NodeID `json:"to"`
	Term  uint64      `json:"term"`
	AtNs  int64       `json:"at_ns"`
}

type voteRequestEvent struct {
	messageEvent
	LastIndex int    `json:"last_index"`
	LastTerm  uint64 `json:"last_term"`
	PreVote   bool   `json:"pre_vote"`
}

type voteReplyEvent struct {
	messageEvent
	Granted bool `json:"granted"`
	PreVote bool `json:"pre_vote"`
}

type entriesEvent struct {
	messageEvent
	Previous int `json:"previous"`
	Entries  int `json:"entries"`
	Commit   int `json:"commit"`
}

type entriesReplyEvent struct {
	messageEvent
	Success bool `json:"success"`
	Index   int  `json:"index"`
}

type snapshotEvent struct {
	messageEvent
	Index int  `json:"index"`
	Done  bool `json:"done"`
}

type snapshotReplyEvent struct {
	messageEvent
	Index int `json:"index"`
}

// tell makes an event of every message that a node sends.
func (s *service) tell(messages []raft.Message, atNs int64) {
	for _, message := range messages {
		s.out.put(describe(message, atNs))
	}
}

func describe(message raft.Message, atNs int64) any {
	head := func(kind string, from raft.NodeID, term uint64) messageEvent {
		return messageEvent{"message", kind, from, message.Recipient(), term, atNs}
	}
	switch m := message.(type) {
	case raft.RequestVote:
		return voteRequestEvent{
			head("request_vote", m.From, m.Term), m.LastLogIndex, m.LastLogTerm, m.PreVote,
		}
	case raft.RequestVoteReply:
		return voteReplyEvent{head("request_vote_reply", m.From, m.Term), m.Granted, m.PreVote}
	case raft.AppendEntries:
		return entriesEvent{
			head("append_entries", m.From, m.Term), m.PrevLogIndex, len(m.Entries), m.LeaderCommit,
		}
	case raft.AppendEntriesReply:
		return entriesReplyEvent{head("append_entries_reply", m.From, m.Term), m.Success, m.LogIndex}
	case raft.InstallSnapshot:
		return snapshotEvent{head("install_snapshot", m.From, m.Term), m.SnapshotIndex, m.Done}
	case raft.InstallSnapshotReply:
		return snapshotReplyEvent{head("install_snapshot_reply", m.From, m.Term), m.SnapshotIndex}
	case raft.TimeoutNow:
		return head("timeout_now", m.From, m.Term)
	default:
		panic("a message of no known type")
	}
}
