package raft

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A Role is one of the states of a server: the paper's three (§5.1), and the pre-vote's
// (thesis §9.6).
type Role uint8

// The roles.
const (
	Follower Role = iota
	PreCandidate
	Candidate
	Leader
)

// String is the role's name in the protocol.
func (r Role) String() string {
	return [...]string{"follower", "pre_candidate", "candidate", "leader"}[r]
}

// MarshalText implements [encoding.TextMarshaler].
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// What bounds replication and the log unless [Settings] say otherwise.
const (
	DefaultMaxEntries      = 1024
	DefaultMaxBytes        = 256 << 10
	DefaultWindow          = 16
	DefaultSnapshotEntries = 16384
)

// A Range is a stretch of time, both ends included.
type Range struct{ Low, High time.Duration }

// Draw takes a moment of the range by a random number from [0, 1).
func (r Range) Draw(random float64) time.Duration {
	return r.Low + time.Duration(float64(r.High-r.Low)*random)
}

// Settings are what all nodes of a cluster share.
type Settings struct {
	Nodes           []NodeID // the first voters
	ElectionTimeout Range    // from which each timeout is drawn
	Heartbeat       time.Duration
	MaxEntries      int // bounds the entries of an AppendEntries, the items of an InstallSnapshot
	MaxBytes        int // bounds their texts; what is larger travels alone
	// Bounds the AppendEntries under way to one follower: as many messages, MaxBytes for each.
	Window      int
	PreVote     bool
	CheckQuorum bool
	// A snapshot is due every so many entries, never if 0; the last quarter of as many stays
	// in the log for followers that lag.
	SnapshotEntries int
}

// A View is what a node thinks of the cluster.
type View struct {
	Role   Role
	Term   uint64
	Leader NodeID
}

// LostEntries are those from First to Last, which Node had acknowledged and has no more.
//
// Raft rests on that this does not happen; see docs/correctness.md.
type LostEntries struct {
	Node        NodeID
	First, Last int
}

// Ready is what the runtime must do now, in the order of the fields:
//
//  1. make Save durable, unless it is empty,
//  2. send Messages,
//  3. restore the state machine from Snapshot, if there is one,
//  4. apply Committed to it and answer the clients that wait,
//  5. answer the reads that Reads tells of,
//  6. restart the timer with Timer, unless it is zero.
//
// That order is the runtime's whole duty to safety: no message leaves and no client hears
// of anything that a crash could still take back. Messages may be read until the node's
// next event.
type Ready struct {
	Save      Save
	Messages  []Message
	Snapshot  *Snapshot
	Committed []Entry
	Reads     []ReadIndex
	Timer     time.Duration
	Lost      []LostEntries // for people; there is nothing that the runtime could do about it
}

// A Node is one Raft server as a pure state machine (§5): events in, a [Ready] out.
//
// Everything that decides an election or a commit is in this file. A runtime tells the node
// what happened, by the method of that name, as often as it likes; then it takes
// [Node.Ready] and does what that says. Whatever happened between two calls becomes one
// save and one message per follower, so that a busy runtime batches without being told to.
//
// Beside the paper's algorithm there is what its thesis adds: leadership transfer (§3.10),
// membership changes one server at a time (§4), reads without a log entry (§6.4), and on
// request the check of a leader's quorum (§6.2) and the pre-vote (§9.6).
//
// A node has one timer: a leader's asks for heartbeats, any other's for an election.
type Node struct {
	id          NodeID
	term        uint64
	votedFor    NodeID
	role        Role
	leader      NodeID
	snapshot    *Snapshot
	log         *ReplicatedLog
	commitIndex int

	settings      Settings
	random        func() float64
	timeout       time.Duration // drawn when it begins, stands or hears of another leader
	votes         map[NodeID]bool
	leaderHeard   bool          // within the least election timeout
	patience      time.Duration // how long the election timer is to run on when it expires
	joins         bool          // until its addition is in its log
	assembly      assembly
	configuration *Configuration
	majority      int

	// A leader's.
	followers  []*progress // in the order of the configuration's members
	termStart  int         // the index of the term's first entry
	beats      int         // heartbeats since the last election timeout passed
	reads      readRounds
	transferee NodeID
	lost       []LostEntries // of followers, since the node leads
	matches    []int         // scratch of maybeCommit

	// What Ready has not handed out yet.
	firstVoters     []NodeID
	votersSaved     bool // the first ones
	saved           HardState
	unsavedFrom     int
	snapshotUnsaved bool
	messages        []Message
	heartbeatDue    bool
	restored        *Snapshot
	applied         int
	readsKnown      []ReadIndex
	lostNow         []LostEntries
	timer           time.Duration
}

// NewNode returns a follower with what the storage kept from an earlier life. Random
// returns numbers from [0, 1) and is called once for each timeout drawn.
func NewNode(id NodeID, settings Settings, random func() float64, saved Saved) *Node {
	// What the log begins with is decided once, whatever a later life is told.
	firstVoters := saved.FirstVoters
	if firstVoters == nil {
		firstVoters = settings.Nodes
	}
	snapshot := saved.Snapshot
	if snapshot == nil {
		snapshot = &Snapshot{Configuration: Configuration{Voters: firstVoters}}
	}
	log := NewReplicatedLog(*snapshot, saved.Entries)
	n := &Node{
		id:          id,
		term:        saved.HardState.Term,
		votedFor:    saved.HardState.VotedFor,
		snapshot:    snapshot,
		log:         log,
		commitIndex: snapshot.LastIndex,
		settings:    settings,
		random:      random,
		firstVoters: firstVoters,
		votersSaved: saved.FirstVoters != nil,
		saved:       saved.HardState,
		unsavedFrom: log.LastIndex() + 1,
		restored:    saved.Snapshot,
		applied:     snapshot.LastIndex,
	}
	n.adoptConfiguration()
	n.drawElectionTimeout()
	return n
}

// View is the node's role, term and leader.
func (n *Node) View() View { return View{n.role, n.term, n.leader} }

// VotedFor is whom the node voted for in its term.
func (n *Node) VotedFor() NodeID { return n.votedFor }

// DrawnTimeout is the election timeout that was drawn last.
func (n *Node) DrawnTimeout() time.Duration { return n.timeout }

// Log is the node's log, for reading.
func (n *Node) Log() *ReplicatedLog { return n.log }

// CommitIndex is the highest index known to be committed.
func (n *Node) CommitIndex() int { return n.commitIndex }

// Snapshot is the latest one, which before the first is of nothing.
func (n *Node) Snapshot() *Snapshot { return n.snapshot }

// Configuration is the one in force, committed or not.
func (n *Node) Configuration() *Configuration { return n.configuration }

// Lost is what followers have lost of what they had acknowledged, since the node leads.
func (n *Node) Lost() []LostEntries { return n.lost }

// LeaderHint is whom a client should ask.
func (n *Node) LeaderHint() NodeID {
	if n.transferee != 0 {
		return n.transferee
	}
	return n.leader
}

// -- what can happen --

// Join says that this server is no member: its life begins so that it can be made one.
//
// An earlier membership may have left a log that says it is a voter, as the first voters are by
// an empty one. By that it would stand whenever it hears of no leader, and depose those who do
// not know it (thesis §4.2.3). So it does not before its addition is in its log: as a learner
// first, and then by what the leader sends it.
//
// The log stays. Whoever still goes by members of long ago may need the votes of those who were
// removed since; what they have acknowledged must keep it from getting them (§5.4.1).
func (n *Node) Join() { n.joins = !slices.Contains(n.configuration.Learners, n.id) }

// Timeout says that the node's timer expired.
//
// It is ignored where something that happened since the last [Node.Ready] restarts the
// timer: a heartbeat that came in time counts, even if a busy runtime reads it after the
// deadline.
func (n *Node) Timeout() {
	switch {
	case n.timer > 0:
	case n.role == Leader:
		n.HeartbeatTimeout()
	case n.patience > 0:
		// Others may take the leader for gone from now on; this node has more patience.
		n.leaderHeard = false
		n.timer, n.patience = n.patience, 0
	default:
		n.ElectionTimeout()
	}
}

// ElectionTimeout says that no leader was heard of for a whole timeout: the node stands
// for election (§5.2).
func (n *Node) ElectionTimeout() {
	n.leaderHeard = false
	switch {
	case !n.mayStand():
		n.leader = 0
		n.drawElectionTimeout()
	case n.settings.PreVote:
		n.askForVotes(PreCandidate, n.term+1, false)
	default:
		n.stand(false)
	}
}

// HeartbeatTimeout says that a leader's heartbeat interval passed: it speaks to every
// follower (§5.2).
func (n *Node) HeartbeatTimeout() {
	if n.role != Leader {
		return
	}
	n.heartbeatDue = true
	n.timer = n.settings.Heartbeat
	for _, follower := range n.followers {
		follower.heartbeat(n.log.LastIndex())
	}
	n.beats++
	if time.Duration(n.beats)*n.settings.Heartbeat >= n.settings.ElectionTimeout.Low {
		n.electionTimeoutPassed()
	}
	n.promoteLearners()
}

// Propose appends clients' commands, if this node leads (§5.3). It returns the first one's
// index (the others follow it without a gap, all in the present term), or false where the
// node is not the leader, or about to hand over.
//
// A change of membership that may not be made now becomes a no-op.
func (n *Node) Propose(commands ...*Command) (first int, ok bool) {
	if n.role != Leader || n.transferee != 0 {
		return 0, false
	}
	first = n.log.LastIndex() + 1
	for _, command := range commands {
		if command.Op.changesMembers() && !n.mayChange(command) {
			command = noop
		}
		n.log.Append(Entry{n.term, command})
	}
	before := n.configuration
	n.adoptConfiguration()
	if n.majority == 1 || n.configuration != before {
		n.maybeCommit() // Otherwise that waits for a follower's acknowledgement.
	}
	return first, true
}

// Read says that a client asks for a read (thesis §6.4). It returns the round whose
// [ReadIndex] a later Ready brings, or false where the node is not the leader.
func (n *Node) Read() (round uint64, ok bool) {
	if n.role != Leader {
		return 0, false
	}
	return n.reads.ask(), true
}

// Transfer hands the leadership to a voter as soon as it has the whole log (thesis §3.10). If
// that takes more than an election timeout, this node goes on to lead. It returns false, and
// nothing happens, where the node does not lead or to is no other voter.
func (n *Node) Transfer(to NodeID) bool {
	if n.role != Leader || to == n.id || !slices.Contains(n.configuration.Voters, to) {
		return false
	}
	n.transferee = to
	n.beats = 0
	n.handOver()
	return true
}

// TakeSnapshot takes the state machine's items after all that [Node.Ready] has handed out, and
// compacts the log. With keepTail what [Settings] say stays for followers that lag; it is the
// same stretch on all nodes that have applied as much.
func (n *Node) TakeSnapshot(items []Item, keepTail bool) {
	index := n.applied
	if index > n.snapshot.LastIndex {
		n.snapshot = &Snapshot{index, n.log.TermAt(index), *n.log.configurationAt(index), items}
		n.snapshotUnsaved = true
	}
	if every := n.settings.SnapshotEntries; keepTail && every > 0 {
		index = index/every*every - every/4
	} else if keepTail {
		index = 0
	}
	if index >= n.log.FirstIndex() {
		n.log.Compact(index)
	}
}

// SnapshotDue reports whether enough was applied since the last snapshot.
func (n *Node) SnapshotDue() bool {
	every := n.settings.SnapshotEntries
	return every > 0 && n.applied/every > n.snapshot.LastIndex/every
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
	case InstallSnapshot:
		n.installSnapshot(m)
	case InstallSnapshotReply:
		n.installSnapshotReply(m)
	case TimeoutNow:
		n.timeoutNow(m)
	default:
		panic(fmt.Sprintf("raft: no server sends a %T", message))
	}
}

// requestVote: a candidate asks for this node's vote (§5.2, §5.4.1).
func (n *Node) requestVote(m RequestVote) {
	if m.PreVote {
		n.requestPreVote(m)
		return
	}
	if n.settings.CheckQuorum && n.followsALeader() && !m.Transfer {
		// A server that was removed, or cut off, must not disturb (thesis §4.2.3).
		return
	}
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

// requestPreVote: a server asks whether it would get this node's vote (thesis §9.6).
func (n *Node) requestPreVote(m RequestVote) {
	reply := RequestVoteReply{Term: n.term, From: n.id, To: m.From, PreVote: true}
	reply.Granted = m.Term > n.term &&
		!n.followsALeader() &&
		n.log.IsUpToDate(m.LastLogIndex, m.LastLogTerm)
	if reply.Granted {
		reply.Term = m.Term
	}
	n.send(reply)
}

// requestVoteReply: a vote was given or refused.
func (n *Node) requestVoteReply(m RequestVoteReply) {
	role, term := Candidate, n.term
	if m.PreVote && m.Granted {
		role, term = PreCandidate, n.term+1
	} else if m.Term > n.term {
		n.becomeFollower(m.Term)
		return
	}
	if m.Granted && m.Term == term && n.role == role {
		n.votes[m.From] = true
		n.countVotes()
	}
}

// appendEntries: a leader sends entries or a heartbeat (§5.3).
func (n *Node) appendEntries(m AppendEntries) {
	reply := AppendEntriesReply{Term: n.term, From: n.id, To: m.From, LogIndex: m.PrevLogIndex, Round: m.Round}
	if m.Term < n.term {
		n.send(reply)
		return
	}
	n.follow(m.From, m.Term)
	reply.Term = n.term

	if !n.log.Matches(m.PrevLogIndex, m.PrevLogTerm) {
		reply.HintIndex = n.log.LastPossibleMatch(m.PrevLogIndex, m.PrevLogTerm)
		reply.HintTerm = n.log.TermAt(reply.HintIndex)
		n.send(reply)
		return
	}
	if m.PrevLogIndex < n.commitIndex && n.contradicts(m) {
		return // What was committed is in every leader's log (§5.4.3): this is none.
	}
	if written := n.log.Merge(m.PrevLogIndex, m.Entries); written > 0 {
		n.unsavedFrom = min(n.unsavedFrom, written)
		n.adoptConfiguration()
	}
	// Only up to here is the log known to be the leader's (figure 2, step 5).
	match := m.PrevLogIndex + len(m.Entries)
	n.commitIndex = max(n.commitIndex, min(m.LeaderCommit, match))
	reply.Success, reply.LogIndex = true, match
	n.send(reply)
}

// contradicts reports whether a message has another entry where one is committed here.
func (n *Node) contradicts(m AppendEntries) bool {
	for offset, entry := range m.Entries[:min(len(m.Entries), n.commitIndex-m.PrevLogIndex)] {
		if !n.log.Matches(m.PrevLogIndex+1+offset, entry.Term) {
			return true
		}
	}
	return false
}

// appendEntriesReply: a follower took or refused what this leader sent (§5.3).
func (n *Node) appendEntriesReply(m AppendEntriesReply) {
	follower := n.followerOf(m.From, m.Term)
	if follower == nil || m.Round < follower.firstRound {
		return
	}
	if m.LogIndex > n.log.LastIndex() {
		return // Nobody has what this leader never sent.
	}
	if m.Round > follower.readRound {
		follower.readRound = m.Round
		n.confirmReads()
	}
	switch {
	case m.Success:
		if follower.accepted(m.LogIndex, n.reads.latest) && m.LogIndex > n.commitIndex {
			n.maybeCommit()
		}
	case m.LogIndex <= follower.matchIndex:
		n.refusedWhatItHad(m, follower)
	default:
		follower.rejected(m.LogIndex, n.log.LastPossibleMatch(m.HintIndex, m.HintTerm))
	}
	if m.From == n.transferee {
		n.handOver()
	}
}

// installSnapshot: a leader sends a piece of its snapshot (§7).
func (n *Node) installSnapshot(m InstallSnapshot) {
	if m.Term < n.term {
		n.send(InstallSnapshotReply{Term: n.term, From: n.id, To: m.From, SnapshotIndex: m.SnapshotIndex})
		return
	}
	n.follow(m.From, m.Term)
	if m.SnapshotIndex > n.commitIndex {
		snapshot := n.assembly.add(m)
		if snapshot == nil {
			n.send(InstallSnapshotReply{n.term, n.id, m.From, m.SnapshotIndex, len(n.assembly.items)})
			return
		}
		n.restore(snapshot)
	}
	// What the snapshot covers is here, and it was committed: so far the logs match.
	n.send(AppendEntriesReply{
		Term: n.term, From: n.id, To: m.From, Success: true, LogIndex: m.SnapshotIndex, Round: m.Round,
	})
}

// installSnapshotReply: a follower took a piece of the snapshot, or lacks one before it (§7).
func (n *Node) installSnapshotReply(m InstallSnapshotReply) {
	if follower := n.followerOf(m.From, m.Term); follower != nil {
		follower.received(m.SnapshotIndex, m.Received)
	}
}

// timeoutNow: the leader hands over to this node (thesis §3.10).
func (n *Node) timeoutNow(m TimeoutNow) {
	if m.Term > n.term {
		n.becomeFollower(m.Term)
	}
	if m.Term == n.term && n.role != Leader && n.mayStand() {
		n.stand(true)
	}
}

// -- what to do about it --

// Ready is all that must be done now; each thing is handed out once.
func (n *Node) Ready() (ready Ready) {
	if n.role == Leader {
		if n.reads.asked {
			n.beginReads()
		}
		n.replicate()
	}
	n.takeSave(&ready.Save)
	ready.Messages, n.messages = n.messages, n.messages[:0]
	ready.Timer, n.timer = n.timer, 0
	if n.restored != nil {
		ready.Snapshot, n.restored = n.restored, nil
	}
	if n.readsKnown != nil {
		ready.Reads, n.readsKnown = n.readsKnown, nil
	}
	if n.lostNow != nil {
		ready.Lost, n.lostNow = n.lostNow, nil
	}
	if n.commitIndex > n.applied {
		ready.Committed = n.log.Slice(n.applied+1, n.commitIndex)
		n.applied = n.commitIndex
	}
	return ready
}

// takeSave puts into save what has to be saved now, if anything has.
func (n *Node) takeSave(save *Save) {
	first, last := n.unsavedFrom, n.log.LastIndex()
	state := HardState{n.term, n.votedFor}
	changed := state != n.saved || n.snapshotUnsaved
	if first > last && !changed {
		return
	}
	if changed {
		save.HardState, n.saved = new(state), state
	}
	if n.snapshotUnsaved || !n.votersSaved {
		save.FirstVoters, n.votersSaved = n.firstVoters, true
	}
	if n.snapshotUnsaved {
		save.Snapshot, n.snapshotUnsaved = n.snapshot, false
		first = n.snapshot.LastIndex + 1
	}
	save.FirstIndex, save.Entries = first, n.log.Slice(first, last)
	n.unsavedFrom = last + 1
}

// -- becoming --

// follow hears of the leader of a term that is not over.
func (n *Node) follow(leader NodeID, term uint64) {
	if term > n.term || n.role != Follower {
		n.becomeFollower(term)
	}
	known := n.leader
	n.leader = leader
	n.leaderHeard = n.settings.PreVote || n.settings.CheckQuorum
	if leader == known {
		n.restartElectionTimer()
	} else {
		n.drawElectionTimeout()
	}
}

func (n *Node) becomeFollower(term uint64) {
	if n.role == Leader {
		// What ran until now was the heartbeat timer.
		n.drawElectionTimeout()
		n.readsKnown = append(n.readsKnown, n.reads.lose()...)
		n.transferee = 0
		n.lost = nil
	}
	if term > n.term {
		n.term, n.votedFor = term, 0
	}
	n.role = Follower
	n.leader = 0
	n.leaderHeard = false
}

// stand begins a term as a candidate, with its own vote (§5.2).
func (n *Node) stand(transfer bool) {
	n.term++
	n.votedFor = n.id
	n.askForVotes(Candidate, n.term, transfer)
}

func (n *Node) askForVotes(role Role, term uint64, transfer bool) {
	n.role = role
	n.leader = 0
	n.leaderHeard = false
	n.votes = map[NodeID]bool{n.id: true}
	n.drawElectionTimeout()
	for _, peer := range n.configuration.Voters {
		if peer == n.id {
			continue
		}
		n.send(RequestVote{
			Term: term, From: n.id, To: peer,
			LastLogIndex: n.log.LastIndex(), LastLogTerm: n.log.LastTerm(),
			PreVote: role == PreCandidate, Transfer: transfer,
		})
	}
	n.countVotes()
}

func (n *Node) becomeLeader() {
	n.role = Leader
	n.leader = n.id
	n.followers = nil
	n.trackFollowers()
	n.beats = 0
	// An entry of its own term lets the leader commit those of earlier ones (§5.4.2, §8).
	n.termStart = n.log.LastIndex() + 1
	n.Propose(noop)
	n.HeartbeatTimeout()
}

// restore takes a leader's snapshot for what this node has; what follows it may stay (§7).
func (n *Node) restore(snapshot *Snapshot) {
	index := snapshot.LastIndex
	if n.log.Matches(index, snapshot.LastTerm) {
		n.log.Compact(index)
	} else {
		n.log = NewReplicatedLog(*snapshot, nil)
	}
	n.snapshot, n.restored = snapshot, snapshot
	n.snapshotUnsaved = true
	n.commitIndex, n.applied = index, index
	n.adoptConfiguration()
}

// -- members --

// adoptConfiguration goes by the latest configuration in the log, committed or not (thesis
// §4.1).
func (n *Node) adoptConfiguration() {
	configuration := n.log.Configuration()
	if configuration == n.configuration {
		return
	}
	n.configuration = configuration
	n.majority = len(configuration.Voters)/2 + 1
	if slices.Contains(configuration.Learners, n.id) {
		n.joins = false
	}
	if n.role == Leader {
		n.trackFollowers()
		n.confirmReads()
	}
}

// trackFollowers has a progress for each other member, and none for those who are gone.
func (n *Node) trackFollowers() {
	following := n.followers
	n.followers = nil
	for _, peer := range n.configuration.Members() {
		if peer == n.id {
			continue
		}
		follower := progressOf(following, peer)
		if follower == nil {
			follower = newProgress(peer, n.log.LastIndex()+1, n.settings.Window, n.settings.MaxBytes)
		}
		follower.voter = slices.Contains(n.configuration.Voters, peer)
		n.followers = append(n.followers, follower)
	}
}

// progressOf is the one of that id, or nil.
func progressOf(followers []*progress, id NodeID) *progress {
	for _, follower := range followers {
		if follower.id == id {
			return follower
		}
	}
	return nil
}

// isVoter reports whether this node is a voter.
func (n *Node) isVoter() bool { return slices.Contains(n.configuration.Voters, n.id) }

// mayStand reports whether this node is a voter, or is until its removal is committed (thesis
// §4.2.2).
func (n *Node) mayStand() bool {
	return !n.joins &&
		(n.isVoter() || slices.Contains(n.log.configurationAt(n.commitIndex).Voters, n.id))
}

// mayChangeMembers reports whether the last change is committed, and an entry of this term
// (thesis §4.1).
//
// The second condition is Ongaro's correction of 2015: a leader must know what its
// predecessors have committed before it changes who decides.
func (n *Node) mayChangeMembers() bool {
	return n.commitIndex >= max(n.log.configurationIndex(), n.termStart)
}

// mayChange reports whether a change of membership may be made now.
func (n *Node) mayChange(command *Command) bool {
	return n.mayChangeMembers() && n.log.Configuration().allows(command)
}

// promoteLearners makes a voter of a learner that keeps up with the log (thesis §4.2.1).
func (n *Node) promoteLearners() {
	for _, learner := range n.configuration.Learners {
		follower := progressOf(n.followers, learner)
		if follower != nil && follower.caughtUp && n.mayChangeMembers() {
			n.Propose(MembershipCommand(PromoteServer, learner))
		}
	}
}

// -- counting --

func (n *Node) countVotes() {
	votes := 0
	for _, voter := range n.configuration.Voters {
		if n.votes[voter] {
			votes++
		}
	}
	switch {
	case votes < n.majority:
	case n.role == PreCandidate:
		n.stand(false)
	default:
		n.becomeLeader()
	}
}

// maybeCommit advances the commit index to what a majority has (§5.3, §5.4.2).
//
// The leader counts itself up to its log's end: what it has not saved yet, it saves in the
// same step, before anyone hears of the commit.
func (n *Node) maybeCommit() {
	n.matches = n.matches[:0]
	if n.isVoter() {
		n.matches = append(n.matches, n.log.LastIndex())
	}
	for _, follower := range n.followers {
		if follower.voter {
			n.matches = append(n.matches, follower.matchIndex)
		}
	}
	slices.Sort(n.matches)
	index := n.matches[len(n.matches)-n.majority]
	// Counting replicas commits only entries of the leader's own term (figure 8).
	if index > n.commitIndex && n.log.TermAt(index) == n.term {
		n.commitIndex = index
		n.leaveIfRemoved()
	}
}

// leaveIfRemoved leads no longer once a configuration without this node is committed (thesis
// §4.2.2).
func (n *Node) leaveIfRemoved() {
	if n.isVoter() || n.log.configurationIndex() > n.commitIndex {
		return
	}
	successor := slices.MaxFunc(n.configuration.Voters, func(a, b NodeID) int {
		return cmp.Compare(progressOf(n.followers, a).matchIndex, progressOf(n.followers, b).matchIndex)
	})
	n.send(TimeoutNow{n.term, n.id, successor})
	n.becomeFollower(n.term)
}

// electionTimeoutPassed: a leader that heard of no majority for as long steps down (thesis
// §6.2).
func (n *Node) electionTimeoutPassed() {
	n.beats = 0
	n.transferee = 0
	if !n.settings.CheckQuorum {
		return
	}
	active := 0
	if n.isVoter() {
		active++
	}
	for _, follower := range n.followers {
		if follower.active && follower.voter {
			active++
		}
		follower.active = false
	}
	if active < n.majority {
		n.becomeFollower(n.term)
	}
}

func (n *Node) confirmReads() {
	if !n.reads.waiting() {
		return
	}
	var heard []uint64
	if n.isVoter() {
		heard = append(heard, n.reads.latest)
	}
	for _, follower := range n.followers {
		if follower.voter {
			heard = append(heard, follower.readRound)
		}
	}
	n.readsKnown = append(n.readsKnown, n.reads.confirm(heard, n.majority)...)
}

// -- speaking --

// followerOf is the follower that a reply of term tells of, nil where it tells a leader
// nothing.
func (n *Node) followerOf(from NodeID, term uint64) *progress {
	if term > n.term {
		n.becomeFollower(term)
		return nil
	}
	if term < n.term || n.role != Leader {
		return nil
	}
	follower := progressOf(n.followers, from)
	if follower != nil {
		follower.active = true
	}
	return follower
}

// refusedWhatItHad: a follower refused entries after some that it had acknowledged.
//
// If that was asked before the acknowledgement came, the refusal is old and must not lower
// anything. Otherwise the follower's storage has failed its promise: the leader says so, and
// goes by what is there from now on.
func (n *Node) refusedWhatItHad(refusal AppendEntriesReply, follower *progress) {
	if refusal.Round <= follower.matchRound {
		// Which it is, the answer to the next heartbeat will tell.
		if follower.matchRound == n.reads.latest {
			n.reads.renew()
		}
		return
	}
	possibleMatch := n.log.LastPossibleMatch(refusal.HintIndex, refusal.HintTerm)
	lost := LostEntries{follower.id, possibleMatch + 1, follower.matchIndex}
	n.lost = append(n.lost, lost)
	n.lostNow = append(n.lostNow, lost)
	follower.beginAnew(possibleMatch, n.reads.renew())
}

// followsALeader reports whether a leader was heard of within the least election timeout, if
// only by itself.
func (n *Node) followsALeader() bool { return n.leaderHeard || n.role == Leader }

// beginReads begins a round of reads, whose heartbeats leave now.
//
// What earlier leaders committed is before this one's first entry, so that the reads see it
// even if this one has committed nothing yet (thesis §6.4, step 1).
func (n *Node) beginReads() {
	n.reads.begin(max(n.commitIndex, n.termStart))
	n.heartbeatDue = true
	n.confirmReads()
}

func (n *Node) handOver() {
	if progressOf(n.followers, n.transferee).matchIndex == n.log.LastIndex() {
		n.send(TimeoutNow{n.term, n.id, n.transferee})
	}
}

// replicate sends each follower what it lacks, and a heartbeat if one is due.
func (n *Node) replicate() {
	last := n.log.LastIndex()
	// Followers that are as far as each other are sent the same.
	var batch struct {
		first, size int
		entries     []Entry
	}
	for _, follower := range n.followers {
		silent := n.heartbeatDue
		if follower.nextIndex > last && !silent {
			continue // It has, or was sent, all that there is.
		}
		if follower.nextIndex < n.log.FirstIndex() && follower.snapshot == nil {
			follower.install(n.snapshot)
		}
		if follower.snapshot != nil {
			if follower.maySend() {
				n.sendItems(follower)
			} else if silent {
				n.sendPiece(follower, nil, false)
			}
			continue
		}
		for follower.nextIndex <= last && follower.maySend() {
			if batch.first != follower.nextIndex {
				batch.first = follower.nextIndex
				end := min(last, batch.first+n.settings.MaxEntries-1)
				batch.entries, batch.size = n.log.Batch(batch.first, end, n.settings.MaxBytes)
			}
			n.sendEntries(follower, batch.first-1, batch.entries)
			follower.sent(batch.first+len(batch.entries)-1, batch.size)
			silent = false
		}
		if silent {
			prev := follower.heartbeatIndex()
			if prev < n.log.FirstIndex()-1 {
				prev = follower.nextIndex - 1
			}
			n.sendEntries(follower, prev, nil)
		}
	}
	n.heartbeatDue = false
}

func (n *Node) sendEntries(to *progress, prev int, entries []Entry) {
	n.send(AppendEntries{
		Term: n.term, From: n.id, To: to.id,
		PrevLogIndex: prev, PrevLogTerm: n.log.TermAt(prev),
		Entries: entries, LeaderCommit: n.commitIndex,
		Round: n.reads.latest,
	})
}

// sendItems sends the next items of a snapshot (§7, figure 13).
func (n *Node) sendItems(to *progress) {
	items := to.snapshot.Items[to.offset:]
	count, size := fitting(items[:min(n.settings.MaxEntries, len(items))], n.settings.MaxBytes)
	n.sendPiece(to, items[:count], count == len(items))
	to.sent(to.snapshot.LastIndex, size)
}

func (n *Node) sendPiece(to *progress, items []Item, done bool) {
	snapshot := to.snapshot
	n.send(InstallSnapshot{
		Term: n.term, From: n.id, To: to.id,
		SnapshotIndex: snapshot.LastIndex, SnapshotTerm: snapshot.LastTerm,
		Configuration: snapshot.Configuration,
		Offset:        to.offset, Items: items, Done: done, Round: n.reads.latest,
	})
}

func (n *Node) send(message Message) { n.messages = append(n.messages, message) }

func (n *Node) drawElectionTimeout() {
	n.timeout = n.settings.ElectionTimeout.Draw(n.random())
	n.restartElectionTimer()
}

// restartElectionTimer lets the timeout run anew; where a leader was heard of, its least part
// first.
func (n *Node) restartElectionTimer() {
	n.timer, n.patience = n.timeout, 0
	if n.leaderHeard {
		least := n.settings.ElectionTimeout.Low
		n.timer, n.patience = least, n.timeout-least
	}
}
