package raft

import "time"

// A Server is what a server does between two waits, whatever it runs on: a consensus module
// with its log, a state machine, and the clients that wait (figure 1). It lives from a start,
// or restart, to a crash.
//
// Its runtime tells it what has happened, and calls [Server.CarryOut] for all that follows from
// it. How a server waits, how it is woken and reached, how it hangs and how it ends are the
// runtime's own.
type Server struct {
	core      *Node
	machine   *StateMachine
	runtime   Runtime
	view      View
	proposals []Proposal // since the last CarryOut
	commands  []*Command // of the proposals
	queries   []Query    // since the last CarryOut
	waiters   Waiters
	readers   Readers
	members   *Configuration // that was told of
}

// A Runtime is what a server needs of the one that it runs on.
type Runtime struct {
	Save         func(Save) error     // returns when it is durable; the others must not block
	Send         func([]Message)      // to the peers
	RestartTimer func(time.Duration)  // TimeOut is to be called after so long
	Announce     func(View)           // hears of every change of role, term or leader
	ReportLoss   func(LostEntries)    // hears of what a follower has lost
	TellMembers  func(Membership)     // hears of a change of members that is committed
	Now          func() time.Duration // since whenever, by a clock that never goes back
	Counters     *Counters            // of what is sent and saved, in all lives
}

// A Membership is who belongs to the cluster as of an index, up to which all is committed. A
// leader tells it, which knows of all changes that were ever committed up to there.
type Membership struct {
	AsOf    int
	Members []NodeID
}

// Counters are what a node has sent and saved, and for how long it waited for its saves.
// Bytes is nil where messages are passed as they are.
type Counters struct {
	Messages int   `json:"messages"`
	Bytes    *int  `json:"bytes"`
	Saves    int   `json:"saves"`
	SaveNs   int64 `json:"save_ns"`
	Entries  int   `json:"entries"`
}

// Since is what was counted since an earlier reading.
func (c Counters) Since(before Counters) Counters {
	var bytes *int
	if c.Bytes != nil && before.Bytes != nil {
		bytes = new(*c.Bytes - *before.Bytes)
	}
	return Counters{
		Messages: c.Messages - before.Messages,
		Bytes:    bytes,
		Saves:    c.Saves - before.Saves,
		SaveNs:   c.SaveNs - before.SaveNs,
		Entries:  c.Entries - before.Entries,
	}
}

// A Status is what a server is at one moment.
type Status struct {
	View
	VotedFor      NodeID
	FirstIndex    int // of what the log keeps, or would
	LastIndex     int
	CommitIndex   int
	AppliedIndex  int
	SnapshotIndex int // the last that the snapshot covers
	Configuration *Configuration
	LostEntries   []LostEntries // what followers have lost since the node leads
	DrawnTimeout  time.Duration // the last election timeout
}

// A LogSlice is a stretch of a server's log, from First on.
type LogSlice struct {
	First       int
	Entries     []Entry
	LastIndex   int
	CommitIndex int
}

// NewServer returns a server that goes on from what was saved, with random numbers from [0, 1).
func NewServer(id NodeID, settings Settings, random func() float64, saved Saved, runtime Runtime) *Server {
	return &Server{
		core:    NewNode(id, settings, random, saved),
		machine: NewStateMachine(),
		runtime: runtime,
	}
}

// Join says before the life begins that the server is no member, and is to be made one.
func (s *Server) Join() { s.core.Join() }

// Begin begins its life.
func (s *Server) Begin() {
	s.view = s.core.View()
	s.runtime.Announce(s.view)
}

// Receive takes a message that has come.
func (s *Server) Receive(message Message) {
	s.core.Step(message)
	s.announce()
}

// TimeOut is what happens when the timer has expired.
func (s *Server) TimeOut() {
	s.core.Timeout()
	s.announce()
}

// Propose takes a client's command, and Read a query. From then on it is the server that
// answers, once: with what comes of it, or by Abandon.
func (s *Server) Propose(proposal Proposal) { s.proposals = append(s.proposals, proposal) }

// Read takes a client's query, as Propose does a command.
func (s *Server) Read(query Query) { s.queries = append(s.queries, query) }

// Waiting is how many clients wait for an answer.
func (s *Server) Waiting() int {
	return len(s.proposals) + s.waiters.Len() + len(s.queries) + s.readers.Len()
}

// AwaitApplied notes that somebody wants to hear when the entry at index is applied here.
func (s *Server) AwaitApplied(index int, done func(Outcome)) {
	s.readers.Await(index, Query{Done: done})
}

// Heartbeat lets a leader speak to all its followers.
func (s *Server) Heartbeat() {
	s.core.HeartbeatTimeout()
	s.announce()
}

// Transfer hands the leadership over; false if that cannot be.
func (s *Server) Transfer(to NodeID) bool { return s.core.Transfer(to) }

// Compact lets a snapshot, which it returns, take the place of the log.
func (s *Server) Compact() *Snapshot {
	s.core.TakeSnapshot(s.machine.Items(), false)
	return s.core.Snapshot()
}

// Abandon ends the life: nobody here will learn what becomes of what they wait for.
func (s *Server) Abandon(reason string, down error) {
	s.waiters.Abandon(reason)
	s.readers.Abandon(down)
	s.refuseProposals(down)
	s.refuseQueries(down)
}

// CarryOut does all that follows from what has happened, in the order that safety rests on:
// save, then send, then apply and answer. After an error, which is that of Save, nothing was
// sent, and the server must be abandoned.
func (s *Server) CarryOut() error {
	s.takeProposals()
	s.takeQueries()
	ready := s.core.Ready()
	counters := s.runtime.Counters
	if !ready.Save.Empty() {
		began := s.runtime.Now()
		if err := s.runtime.Save(ready.Save); err != nil {
			return err
		}
		counters.SaveNs += (s.runtime.Now() - began).Nanoseconds()
		counters.Saves++
		counters.Entries += len(ready.Save.Entries)
	}
	if len(ready.Messages) > 0 {
		counters.Messages += len(ready.Messages)
		s.runtime.Send(ready.Messages)
	}
	for _, lost := range ready.Lost {
		s.runtime.ReportLoss(lost)
	}
	if len(ready.Committed) > 0 || ready.Snapshot != nil {
		s.apply(ready.Snapshot, ready.Committed)
	}
	if len(ready.Reads) > 0 || s.readers.Confirmed() {
		s.readers.Resolve(ready.Reads, s.machine, s.core.View().Leader)
	}
	if ready.Timer > 0 {
		s.runtime.RestartTimer(ready.Timer)
	}
	return nil
}

// takeProposals appends the commands to the log, if the node leads.
func (s *Server) takeProposals() {
	if len(s.proposals) == 0 {
		return
	}
	s.commands = s.commands[:0]
	for _, proposal := range s.proposals {
		s.commands = append(s.commands, proposal.Command)
	}
	view := s.core.View()
	if first, ok := s.core.Propose(s.commands...); ok {
		s.proposals = s.waiters.Add(first, view.Term, s.proposals)
	} else {
		s.refuseProposals(NotTheLeader(s.core.LeaderHint()))
	}
}

// takeQueries lets the queries wait until the node knows that it still leads.
func (s *Server) takeQueries() {
	if len(s.queries) == 0 {
		return
	}
	if round, ok := s.core.Read(); ok {
		s.readers.Add(round, s.queries)
		s.queries = s.queries[:0]
	} else {
		s.refuseQueries(NotTheLeader(s.core.View().Leader))
	}
}

func (s *Server) refuseProposals(err error) {
	for _, proposal := range s.proposals {
		proposal.Done(Outcome{Err: err})
	}
	s.proposals = s.proposals[:0]
}

func (s *Server) refuseQueries(err error) {
	for _, query := range s.queries {
		query.Done(Outcome{Err: err})
	}
	s.queries = s.queries[:0]
}

// apply restores or applies, answers those who wait for it, and compacts when that is due.
func (s *Server) apply(snapshot *Snapshot, committed []Entry) {
	if snapshot != nil {
		s.machine.Restore(snapshot)
		s.waiters.Skipped(snapshot.LastIndex)
	}
	if len(committed) > 0 {
		s.tellMembers()
		s.waiters.Applied(s.machine.AppliedIndex()+1, committed, s.machine.Apply)
	}
	if s.core.SnapshotDue() {
		s.core.TakeSnapshot(s.machine.Items(), true)
	}
}

// tellMembers tells who the members are, once that is committed: who was removed need not hear
// of it. A leader that has committed an entry of its term has all that was committed before it.
func (s *Server) tellMembers() {
	log, view, index := s.core.Log(), s.core.View(), s.core.CommitIndex()
	if view.Role != Leader || log.Configuration() == s.members || log.TermAt(index) != view.Term {
		return
	}
	if committed := log.configurationAt(index); committed != s.members {
		s.members = committed
		s.runtime.TellMembers(Membership{index, committed.Members()})
	}
}

// announce tells of a change of role, term or leader.
func (s *Server) announce() {
	if view := s.core.View(); view != s.view {
		s.view = view
		s.runtime.Announce(view)
	}
}

// View is what the server thinks of the cluster.
func (s *Server) View() View { return s.view }

// Status is what the server is now.
func (s *Server) Status() Status {
	log := s.core.Log()
	return Status{
		View:          s.core.View(),
		VotedFor:      s.core.VotedFor(),
		FirstIndex:    log.FirstIndex(),
		LastIndex:     log.LastIndex(),
		CommitIndex:   s.core.CommitIndex(),
		AppliedIndex:  s.machine.AppliedIndex(),
		SnapshotIndex: s.core.Snapshot().LastIndex,
		Configuration: s.core.Configuration(),
		LostEntries:   s.core.Lost(),
		DrawnTimeout:  s.core.DrawnTimeout(),
	}
}

// Replica copies the log and the state machine.
func (s *Server) Replica() (*ReplicatedLog, *StateMachine) {
	return s.core.Log().Clone(), s.machine.Clone()
}

// Log is the log from first to last, both inclusive, cut to what is kept.
func (s *Server) Log(first, last int) LogSlice {
	log := s.core.Log()
	first = max(first, log.FirstIndex())
	return LogSlice{first, log.Slice(first, last), log.LastIndex(), s.core.CommitIndex()}
}
