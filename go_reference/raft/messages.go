package raft

import (
	"fmt"
	"slices"
	"strconv"
)

// A NodeID names a server of the cluster. Servers are numbered from 1; the zero value
// means that there is none: no vote given, no leader known.
type NodeID int

// An Op is what a command does.
type Op string

// The operations of the state machine, the entry with which a new leader begins, and the
// changes of membership, whose key is a server's id.
const (
	Set  Op = "set"
	Get  Op = "get"
	Cas  Op = "cas"
	Noop Op = "noop"

	AddServer     Op = "add_server"
	PromoteServer Op = "promote_server"
	RemoveServer  Op = "remove_server"
)

// changesMembers reports whether it is a change of membership.
func (o Op) changesMembers() bool {
	return o == AddServer || o == PromoteServer || o == RemoveServer
}

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

// MembershipCommand is the command that makes a change of membership.
func MembershipCommand(op Op, server NodeID) *Command {
	return &Command{Op: op, Key: strconv.Itoa(int(server))}
}

// server is the one whose membership the command changes.
func (c *Command) server() NodeID {
	id, err := strconv.Atoi(c.Key)
	if err != nil {
		panic(fmt.Sprintf("raft: %s of %q, which is no server", c.Op, c.Key))
	}
	return NodeID(id)
}

// An Entry is a log entry: a command, and the term in which a leader received it.
type Entry struct {
	Term    uint64
	Command *Command
}

// size is the bytes of the entry's texts: what makes one entry larger than another.
func (e Entry) size() int {
	c := e.Command
	return len(c.Key) + sizeOf(c.Value) + sizeOf(c.Expect) + sizeOf(c.Client)
}

func sizeOf(text *string) int {
	if text == nil {
		return 0
	}
	return len(*text)
}

// A Configuration is the cluster's members (thesis §4): Voters decide, Learners only receive
// entries. Both are in ascending order, and never changed.
type Configuration struct {
	Voters   []NodeID
	Learners []NodeID
}

// Members are all who receive entries.
func (c Configuration) Members() []NodeID { return slices.Concat(c.Voters, c.Learners) }

// changedBy is the configuration after a change of membership.
func (c Configuration) changedBy(command *Command) Configuration {
	server := command.server()
	changed := Configuration{without(c.Voters, server), without(c.Learners, server)}
	switch command.Op {
	case AddServer:
		changed.Learners = append(changed.Learners, server)
		slices.Sort(changed.Learners)
	case PromoteServer:
		changed.Voters = append(changed.Voters, server)
		slices.Sort(changed.Voters)
	}
	return changed
}

// allows reports whether a change of membership makes sense here.
func (c Configuration) allows(command *Command) bool {
	server := command.server()
	voter, learner := slices.Contains(c.Voters, server), slices.Contains(c.Learners, server)
	switch command.Op {
	case AddServer:
		return !voter && !learner
	case PromoteServer:
		return learner
	default:
		return learner || voter && len(c.Voters) > 1
	}
}

// without is a copy of its own.
func without(servers []NodeID, server NodeID) []NodeID {
	return slices.DeleteFunc(slices.Clone(servers), func(id NodeID) bool { return id == server })
}

// An Item is a piece of the state machine's state. With Serial 0 it is a key, Name, and its
// value; otherwise a client session, its last serial and the result of that.
type Item struct {
	Name   string
	Value  Result
	Serial uint64
}

// size is the bytes of the item's texts.
func (i Item) size() int {
	size := len(i.Name)
	if text, ok := i.Value.(string); ok {
		size += len(text)
	}
	return size
}

// fitting is how many of the first values one message has room for, and their size: at least
// one, if there is any, as what is larger than a message should be travels alone.
func fitting[T interface{ size() int }](values []T, maxBytes int) (count, size int) {
	for _, value := range values {
		more := size + value.size()
		if more > maxBytes && count > 0 {
			break
		}
		count, size = count+1, more
	}
	return count, size
}

// A Snapshot is the state after applying the log up to LastIndex, whose entry is of LastTerm
// (§7). Configuration is the one in force there.
type Snapshot struct {
	LastIndex     int
	LastTerm      uint64
	Configuration Configuration
	Items         []Item
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
//
// A save with a Snapshot replaces everything that was saved: it has a HardState, the
// FirstVoters, and Entries are all those after the snapshot. FirstVoters are the configuration
// that the log begins with, in each node's first save; nil where they are saved already.
type Save struct {
	HardState  *HardState
	FirstIndex int
	Entries    []Entry
	Snapshot   *Snapshot

	FirstVoters []NodeID
}

// Empty reports whether there is nothing to save.
func (s Save) Empty() bool {
	return s.HardState == nil && len(s.Entries) == 0 && s.Snapshot == nil
}

// A Message goes from one server to another: one of the types below. Messages are immutable,
// the slices in them included.
type Message interface {
	// Sender is the server that sends the message.
	Sender() NodeID
	// Recipient is the server that the message is meant for.
	Recipient() NodeID
}

// RequestVote is how a candidate asks for a vote (§5.2, §5.4.1).
//
// With PreVote it asks whether it would get one in Term, which it has not entered yet (thesis
// §9.6). With Transfer its leader has told it to stand (thesis §3.10).
type RequestVote struct {
	Term         uint64
	From, To     NodeID
	LastLogIndex int
	LastLogTerm  uint64
	PreVote      bool
	Transfer     bool
}

// RequestVoteReply answers a [RequestVote]; a pre-vote is granted in the term that it asked
// for.
type RequestVoteReply struct {
	Term     uint64
	From, To NodeID
	Granted  bool
	PreVote  bool
}

// AppendEntries is how a leader sends entries, or none as a heartbeat (§5.2, §5.3). Round
// numbers the leader's rounds of asking whether it still is one (thesis §6.4).
type AppendEntries struct {
	Term         uint64
	From, To     NodeID
	PrevLogIndex int
	PrevLogTerm  uint64
	Entries      []Entry
	LeaderCommit int
	Round        uint64
}

// AppendEntriesReply answers an [AppendEntries], whose Round it has.
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
	Round     uint64
}

// InstallSnapshot is how a leader sends a piece of its snapshot (§7): the items from number
// Offset on. Done marks the last piece.
//
// It is answered with an [InstallSnapshotReply], or once the snapshot is whole, or not
// needed, with an [AppendEntriesReply] for its index and Round. A piece without items asks how
// many the follower has, and is the heartbeat meanwhile.
type InstallSnapshot struct {
	Term          uint64
	From, To      NodeID
	SnapshotIndex int
	SnapshotTerm  uint64
	Configuration Configuration
	Offset        int
	Items         []Item
	Done          bool
	Round         uint64
}

// InstallSnapshotReply tells how many items of the snapshot at SnapshotIndex the follower has.
type InstallSnapshotReply struct {
	Term          uint64
	From, To      NodeID
	SnapshotIndex int
	Received      int
}

// TimeoutNow is how a leader hands over: stand for election at once (thesis §3.10).
type TimeoutNow struct {
	Term     uint64
	From, To NodeID
}

// Sender implements [Message].
func (m RequestVote) Sender() NodeID { return m.From }

// Recipient implements [Message].
func (m RequestVote) Recipient() NodeID { return m.To }

// Sender implements [Message].
func (m RequestVoteReply) Sender() NodeID { return m.From }

// Recipient implements [Message].
func (m RequestVoteReply) Recipient() NodeID { return m.To }

// Sender implements [Message].
func (m AppendEntries) Sender() NodeID { return m.From }

// Recipient implements [Message].
func (m AppendEntries) Recipient() NodeID { return m.To }

// Sender implements [Message].
func (m AppendEntriesReply) Sender() NodeID { return m.From }

// Recipient implements [Message].
func (m AppendEntriesReply) Recipient() NodeID { return m.To }

// Sender implements [Message].
func (m InstallSnapshot) Sender() NodeID { return m.From }

// Recipient implements [Message].
func (m InstallSnapshot) Recipient() NodeID { return m.To }

// Sender implements [Message].
func (m InstallSnapshotReply) Sender() NodeID { return m.From }

// Recipient implements [Message].
func (m InstallSnapshotReply) Recipient() NodeID { return m.To }

// Sender implements [Message].
func (m TimeoutNow) Sender() NodeID { return m.From }

// Recipient implements [Message].
func (m TimeoutNow) Recipient() NodeID { return m.To }
