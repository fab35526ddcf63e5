package raft

import (
	"fmt"
	"slices"
	"time"
)

// A Role is one of the three states of a server (§5.1).
type Role uint8

// The roles.
const (
	Follower Role = iota
	Candidate
	Leader
)

// String is the role's name in the protocol.
func (r Role) String() string { return [...]string{"follower", "candidate", "leader"}[r] }

// MarshalText implements [encoding.TextMarshaler].
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// What bounds replication unless [Settings] say otherwise.
const (
	DefaultMaxEntries = 1024
	DefaultWindow     = 16
)

// A Range is a stretch of time, both ends included.
type Range struct{ Low, High time.Duration }

// Draw takes a moment of the range by a random number from [0, 1).
func (r Range) Draw(random float64) time.Duration {
	return r.Low + time.Duration(float64(r.High-r.Low)*random)
}

// Settings are what all nodes of a cluster share.
type Settings struct {
	Nodes           []NodeID
	ElectionTimeout Range // from which each timeout is drawn
	Heartbeat       time.Duration
	MaxEntries      int // bounds one AppendEntries
	Window          int // bounds the AppendEntries under way to one follower
}

// A View is what a node thinks of the cluster.
type View struct {
	Role   Role
	Term   uint64
	Leader NodeID
}

// Ready is what the runtime must do now, in the order of the fields:
//
//  1. make Save durable, unless it is empty,
//  2. send Messages,
//  3. apply Committed to the state machine and answer the clients that wait,
//  4. restart the timer with Timer, unless it is zero.
//
// That order is the runtime's whole duty to safety: no message leaves and no client hears
// of anything that a crash could still take back. Messages may be read until the node's
// next event.
type Ready struct {
	Save      Save
	Messages  []Message
	Committed []Entry
	Timer     time.Duration
}

// A Node is one Raft server as a pure state machine (§5): events in, a [Ready] out.
//
// Everything that decides an election or a commit is in this file. A runtime tells the node
// what happened, by the method of that name, as often as it likes; then it takes
// [Node.Ready] and does what that says. Whatever happened between two calls becomes one
// save and one message per follower, so that a busy runtime batches without being told to.
//
// A node has one timer: a leader's asks for heartbeats, any other's for an election.
type Node struct {
	id          NodeID
	term        uint64
	votedFor    NodeID
	role        Role
	leader      NodeID
	log         *ReplicatedLog
	commitIndex int

	settings  Settings
	random    func() float64
	peers     []NodeID
	majority  int
	votes     map[NodeID]bool
	followers []*progress // a leader's, in the order of peers
	matches   []int       // scratch of maybeCommit

	// What Ready has not handed out yet.
	saved        HardState
	unsavedFrom  int
	messages     []Message
	heartbeatDue bool
	applied      int
	timer        time.Duration
}

// NewNode returns a follower with what the storage kept from an earlier life. Random
// returns numbers from [0, 1) and is called once for each timeout drawn.
func NewNode(id NodeID, settings Settings, random func() float64, saved Saved) *Node {
	log := NewReplicatedLog(saved.Entries)
	n := &Node{
		id:          id,
		term:        saved.HardState.Term,
		votedFor:    saved.HardState.VotedFor,
		log:         log,
		settings:    settings,
		random:      random,
		majority:    len(settings.Nodes)/2 + 1,
		saved:       saved.HardState,
		unsavedFrom: log.LastIndex() + 1,
	}
	for _, other := range settings.Nodes {
		if other != id {
			n.peers = append(n.peers, other)
		}
	}
	n.restartElectionTimer()
	return n
}

// View is the node's role, term and leader.
func (n *Node) View() View { return View{n.role, n.term, n.leader} }

// VotedFor is whom the node voted for in its term.
func (n *Node) VotedFor() NodeID { return n.votedFor }

// Log is the node's log, for reading.
func (n *Node) Log() *ReplicatedLog { return n.log }

// CommitIndex is the highest index known to be committed.
func (n *Node) CommitIndex() int { return n.commitIndex }

// Timeout says that the node's timer expired.
//
// It is ignored where something that happened since the last [Node.Ready] restarts the
// timer: a heartbeat that came in time counts, even if a busy runtime reads it after the
// deadline.
func (n *Node) Timeout() {
	if n.timer > 0 {
		return
	}
	if n.role == Leader {
		n.HeartbeatTimeout()
	} else {
		n.ElectionTimeout()
	}
}

// ElectionTimeout says that no leader was heard of for a whole timeout: the node stands
// for election (§5.2).
func (n *Node) ElectionTimeout() {
	n.term++
	n.role = Candidate
	n.leader = 0
	n.votedFor = n.id
	n.votes = map[NodeID]bool{n.id: true}
	n.restartElectionTimer()
	for _, peer := range n.peers {
		n.send(RequestVote{
			Term: n.term, From: n.id, To: peer,
			LastLogIndex: n.log.LastIndex(), LastLogTerm: n.log.LastTerm(),
		})
	}
	n.countVotes()
}

// HeartbeatTimeout says that a leader's heartbeat interval passed: it speaks to every
// follower (§5.2).
func (n *Node) HeartbeatTimeout() {
	n.heartbeatDue = true
	n.timer = n.settings.Heartbeat
	for _, follower := range n.followers {
		follower.heartbeat()
	}
}

// Propose appends clients' commands, if this node leads (§5.3). It returns the first one's
// index (the others follow it without a gap, all in the present term), or false where the
// node is not the leader.
func (n *Node) Propose(commands ...*Command) (first int, ok bool) {
	if n.role != Leader {
		return 0, false
	}
	first = n.log.LastIndex() + 1
	for _, command := range commands {
		n.log.Append(Entry{n.term, command})
	}
	n.maybeCommit()
	return first, true
}

// Step says that a message arrived.
func (n *Node) Step(message Message) {
	switch m := message.(type) {
	case RequestVote:
		n.requestVote(m)
	case RequestVoteReply:
		n.requestVoteReply(m)
	case AppendEntries:
		n.appendEntries(m)
	case AppendEntriesReply:
		n.appendEntriesReply(m)
	default:
		panic(fmt.Sprintf("raft: no server sends a %T", message))
	}
}

// requestVote: a candidate asks for this node's vote (§5.2, §5.4.1).
func (n *Node) requestVote(m RequestVote) {
	if m.Term > n.term {
		n.becomeFollower(m.Term)
	}
	granted := m.Term == n.term &&
		(n.votedFor == 0 || n.votedFor == m.From) &&
		n.log.IsUpToDate(m.LastLogIndex, m.LastLogTerm)
	if granted {
		n.votedFor = m.From
		n.restartElectionTimer()
	}
	n.send(RequestVoteReply{Term: n.term, From: n.id, To: m.From, Granted: granted})
}

// requestVoteReply: a vote was given or refused.
func (n *Node) requestVoteReply(m RequestVoteReply) {
	if m.Term > n.term {
		n.becomeFollower(m.Term)
		return
	}
	if m.Term == n.term && n.role == Candidate && m.Granted {
		n.votes[m.From] = true
		n.countVotes()
	}
}

// appendEntries: a leader sends entries or a heartbeat (§5.3).
func (n *Node) appendEntries(m AppendEntries) {
	reply := AppendEntriesReply{Term: n.term, From: n.id, To: m.From, LogIndex: m.PrevLogIndex}
	if m.Term < n.term {
		n.send(reply)
		return
	}
	if m.Term > n.term || n.role != Follower {
		n.becomeFollower(m.Term)
	}
	n.leader = m.From
	n.restartElectionTimer()
	reply.Term = n.term

	if !n.log.Matches(m.PrevLogIndex, m.PrevLogTerm) {
		reply.HintIndex = n.log.LastPossibleMatch(m.PrevLogIndex, m.PrevLogTerm)
		reply.HintTerm = n.log.TermAt(reply.HintIndex)
		n.send(reply)
		return
	}
	if written := n.log.Merge(m.PrevLogIndex, m.Entries); written > 0 {
		n.unsavedFrom = min(n.unsavedFrom, written)
	}
	// Only up to here is the log known to be the leader's (figure 2, step 5).
	match := m.PrevLogIndex + len(m.Entries)
	n.commitIndex = max(n.commitIndex, min(m.LeaderCommit, match))
	reply.Success, reply.LogIndex = true, match
	n.send(reply)
}

// appendEntriesReply: a follower took or refused what this leader sent (§5.3).
func (n *Node) appendEntriesReply(m AppendEntriesReply) {
	if m.Term > n.term {
		n.becomeFollower(m.Term)
		return
	}
	if m.Term < n.term || n.role != Leader {
		return
	}
	follower := n.followers[slices.Index(n.peers, m.From)]
	if !m.Success {
		follower.rejected(m.LogIndex, n.log.LastPossibleMatch(m.HintIndex, m.HintTerm))
	} else if follower.accepted(m.LogIndex) {
		n.maybeCommit()
	}
}

// Ready is all that must be done now; each thing is handed out once.
func (n *Node) Ready() Ready {
	if n.role == Leader {
		n.replicate()
	}
	ready := Ready{Save: n.takeSave(), Messages: n.messages, Timer: n.timer}
	n.messages, n.timer = n.messages[:0], 0
	if n.commitIndex > n.applied {
		ready.Committed = n.log.Slice(n.applied+1, n.commitIndex)
		n.applied = n.commitIndex
	}
	return ready
}

func (n *Node) takeSave() Save {
	first, last := n.unsavedFrom, n.log.LastIndex()
	save := Save{FirstIndex: first, Entries: n.log.Slice(first, last)}
	if state := (HardState{n.term, n.votedFor}); state != n.saved {
		save.HardState = new(state)
	}
	n.saved, n.unsavedFrom = HardState{n.term, n.votedFor}, last+1
	return save
}

func (n *Node) becomeFollower(term uint64) {
	if n.role == Leader {
		// What ran until now was the heartbeat timer.
		n.restartElectionTimer()
	}
	if term > n.term {
		n.term, n.votedFor = term, 0
	}
	n.role = Follower
	n.leader = 0
}

func (n *Node) becomeLeader() {
	n.role = Leader
	n.leader = n.id
	n.followers = nil
	for range n.peers {
		n.followers = append(n.followers, newProgress(n.log.LastIndex()+1, n.settings.Window))
	}
	// An entry of its own term lets the leader commit those of earlier ones (§5.4.2, §8).
	n.Propose(noop)
	n.HeartbeatTimeout()
}

func (n *Node) countVotes() {
	if len(n.votes) >= n.majority {
		n.becomeLeader()
	}
}

// maybeCommit advances the commit index to what a majority has (§5.3, §5.4.2).
//
// The leader counts itself up to its log's end: what it has not saved yet, it saves in the
// same step, before anyone hears of the commit.
func (n *Node) maybeCommit() {
	n.matches = append(n.matches[:0], n.log.LastIndex())
	for _, follower := range n.followers {
		n.matches = append(n.matches, follower.matchIndex)
	}
	slices.Sort(n.matches)
	index := n.matches[len(n.matches)-n.majority]
	// Counting replicas commits only entries of the leader's own term (figure 8).
	if index > n.commitIndex && n.log.TermAt(index) == n.term {
		n.commitIndex = index
	}
}

// replicate sends each follower what it lacks, and a heartbeat if one is due.
func (n *Node) replicate() {
	last := n.log.LastIndex()
	for i, peer := range n.peers {
		follower := n.followers[i]
		silent := n.heartbeatDue
		for follower.nextIndex <= last && follower.maySend() {
			end := min(last, follower.nextIndex+n.settings.MaxEntries-1)
			n.sendEntries(peer, follower, end)
			follower.sent(end)
			silent = false
		}
		if silent {
			n.sendEntries(peer, follower, follower.nextIndex-1)
		}
	}
	n.heartbeatDue = false
}

func (n *Node) sendEntries(to NodeID, follower *progress, end int) {
	prev := follower.nextIndex - 1
	n.send(AppendEntries{
		Term: n.term, From: n.id, To: to,
		PrevLogIndex: prev, PrevLogTerm: n.log.TermAt(prev),
		Entries: n.log.Slice(prev+1, end), LeaderCommit: n.commitIndex,
	})
}

func (n *Node) send(message Message) { n.messages = append(n.messages, message) }

func (n *Node) restartElectionTimer() { n.timer = n.settings.ElectionTimeout.Draw(n.random()) }
