package raft

// A NodeID names a server of the cluster. Servers are numbered from 1; the zero value
// means that there is none: no vote given, no leader known.
type NodeID int

// An Op is what a command does.
type Op string

// The operations of the state machine, and the entry with which a new leader begins.
const (
	Set  Op = "set"
	Get  Op = "get"
	Cas  Op = "cas"
	Noop Op = "noop"
)

// A Command is what a client asks of the state machine. It is shared by the nodes of one
// process and never changed once proposed. A nil string is the protocol's null.
//
// A command of a client session carries the client's name and a serial number that rises
// by one with each new command; one without a session has neither.
type Command struct {
	Op     Op
	Key    string
	Value  *string
	Expect *string
	Client *string
	Serial uint64
}

var noop = &Command{Op: Noop}

// An Entry is a log entry: a command, and the term in which a leader received it.
type Entry struct {
	Term    uint64
	Command *Command
}

// A HardState is what a node must remember besides its log (the paper's figure 2,
// persistent state).
type HardState struct {
	Term     uint64
	VotedFor NodeID
}

// A Save is what must be durable before any message of the same step leaves.
//
// HardState is nil where it has not changed. Entries take the place of the saved log from
// FirstIndex on: where that is not past the saved log's end, its tail is deleted first. A
// save without entries changes no log.
type Save struct {
	HardState  *HardState
	FirstIndex int
	Entries    []Entry
}

// Empty reports whether there is nothing to save.
func (s Save) Empty() bool { return s.HardState == nil && len(s.Entries) == 0 }

// A Message goes from one server to another: one of the four types below. Messages are
// immutable, the slices in them included.
type Message interface {
	// Recipient is the server that the message is meant for.
	Recipient() NodeID
}

// RequestVote is how a candidate asks for a vote (§5.2, §5.4.1).
type RequestVote struct {
	Term         uint64
	From, To     NodeID
	LastLogIndex int
	LastLogTerm  uint64
}

// RequestVoteReply answers a [RequestVote].
type RequestVoteReply struct {
	Term     uint64
	From, To NodeID
	Granted  bool
}

// AppendEntries is how a leader sends entries, or none as a heartbeat (§5.2, §5.3).
type AppendEntries struct {
	Term         uint64
	From, To     NodeID
	PrevLogIndex int
	PrevLogTerm  uint64
	Entries      []Entry
	LeaderCommit int
}

// AppendEntriesReply answers an [AppendEntries].
//
// On success LogIndex is the last index at which the follower's log is known to match. On
// a refusal LogIndex is the PrevLogIndex refused, and the hint names the last entry of the
// follower's that could match: the largest index up to LogIndex whose term is not above
// the refused PrevLogTerm, with its term (§5.3, fast back-up).
type AppendEntriesReply struct {
	Term      uint64
	From, To  NodeID
	Success   bool
	LogIndex  int
	HintIndex int
	HintTerm  uint64
}

// Recipient implements [Message].
func (m RequestVote) Recipient() NodeID { return m.To }

// Recipient implements [Message].
func (m RequestVoteReply) Recipient() NodeID { return m.To }

// Recipient implements [Message].
func (m AppendEntries) Recipient() NodeID { return m.To }

// Recipient implements [Message].
func (m AppendEntriesReply) Recipient() NodeID { return m.To }
