package lives

import (
	"sync/atomic"
	"time"

	"raftmark/raft"
)

// A Lifecycle is what was done to a node, or what its own fault did.
type Lifecycle int32

// A node begins crashed.
const (
	Crashed Lifecycle = iota
	Running
	Paused
)

// String is an adjective.
func (l Lifecycle) String() string { return [...]string{"crashed", "running", "paused"}[l] }

// An Event is what comes for a node: one of these, or none where its timer rang.
type Event struct {
	Message  raft.Message
	Proposal raft.Proposal
	Query    *raft.Query
}

// A Timer is a node's only one: its election timeout, or the heartbeat of a leader.
type Timer interface {
	// Restart lets the timer ring after so long, and not before.
	Restart(time.Duration)
	// Expired reports, when the timer has rung, whether that was in time.
	Expired() bool
	// Stop lets the timer ring no more, until it is restarted.
	Stop()
}

// A Node is a server through all its lives. It belongs to one goroutine, but for its State,
// which all may see.
type Node struct {
	ID      raft.NodeID
	Storage raft.Storage
	Server  *raft.Server // of the present life, and nil between two
	Faults  *raft.Draws  // of the links to the peers

	settings  raft.Settings
	events    Events
	timer     Timer
	send      func(raft.Message)
	remote    Remote
	timeouts  *raft.Draws // of the election timeouts
	lifecycle atomic.Int32
	counters  raft.Counters
	held      []Event // what came while the node was paused
	rang      bool    // the timer, since the node last acted
}

// NewNode returns a crashed node, for which the timer rings. Send must not block.
func NewNode(
	id raft.NodeID, config Config, timer Timer, send func(raft.Message), events Events,
) *Node {
	return &Node{
		ID:       id,
		Storage:  config.storage(id),
		Faults:   raft.NewDraws(config.Seed, raft.NodeLinks(id)),
		settings: config.Settings,
		events:   events,
		timer:    timer,
		send:     send,
		remote:   config.Remote,
		timeouts: raft.NewDraws(config.Seed, raft.NodeTimeouts(id)),
	}
}

// State is what the node is now, or was a moment ago.
func (n *Node) State() Lifecycle { return Lifecycle(n.lifecycle.Load()) }

func (n *Node) become(state Lifecycle) { n.lifecycle.Store(int32(state)) }

// Load prepares a life of the node from what the storage kept of the last one.
func (n *Node) Load() error {
	saved, err := n.Storage.Load()
	if err != nil {
		return err
	}
	if saved.Repair != "" {
		n.events.Repaired(n.ID, saved.Repair)
	}
	start := time.Now()
	n.Server = raft.NewServer(n.ID, n.settings, n.timeouts.Float64, saved, raft.Runtime{
		Save:         n.Storage.Save,
		Send:         n.sendAll,
		RestartTimer: n.timer.Restart,
		Announce:     func(view raft.View) { n.events.RoleChanged(RoleChange{n.ID, view, Monotonic()}) },
		ReportLoss:   func(lost raft.LostEntries) { n.events.EntriesLost(lost, n.ID, Monotonic()) },
		TellMembers:  n.events.MembersCommitted,
		Now:          func() time.Duration { return time.Since(start) },
		Counters:     &n.counters,
	})
	return nil
}

// Begin begins the life that was loaded.
func (n *Node) Begin() {
	n.Server.Begin()
	n.become(Running)
	n.Act()
}

// Cease ends a life of the node: all that was not saved is lost.
func (n *Node) Cease(reason string) {
	n.become(Crashed)
	n.timer.Stop()
	n.Server.Abandon(reason, n.unavailable(Crashed.String()))
	n.Server = nil
	for _, held := range n.held {
		n.Refuse(held, Crashed.String())
	}
	n.held, n.rang = nil, false
	if err := n.Storage.Close(); err != nil {
		n.events.Failed(n.ID, err)
	}
}

// End ends the node, in whatever state it is.
func (n *Node) End() {
	if n.State() != Crashed {
		n.Cease("the cluster was stopped")
	}
}

// resume takes up what came while the node was paused.
func (n *Node) resume() {
	n.become(Running)
	for _, held := range n.held {
		n.take(held)
	}
	n.held = nil
	n.Act()
}

// Put lets the node have an event: taken if it runs, held if it is paused, lost if it is crashed.
// What was taken is acted upon when the node acts.
func (n *Node) Put(e Event) {
	switch n.State() {
	case Running:
		n.take(e)
	case Paused:
		n.hold(e)
	case Crashed:
		n.Refuse(e, Crashed.String())
	}
}

// take tells the server what happened.
func (n *Node) take(e Event) {
	switch {
	case e.Message != nil:
		n.Server.Receive(e.Message)
	case e.Proposal.Command != nil:
		n.Server.Propose(e.Proposal)
	case e.Query != nil:
		n.Server.Read(*e.Query)
	default:
		n.rang = true
	}
}

// hold keeps what comes for a paused node, messages as far as there is room.
func (n *Node) hold(e Event) {
	if e.Message == nil || len(n.held) < Room {
		n.held = append(n.held, e)
	}
}

// Refuse answers a client, if the event is one's.
func (n *Node) Refuse(e Event, why string) {
	outcome := raft.Outcome{Err: n.unavailable(why)}
	switch {
	case e.Proposal.Command != nil:
		e.Proposal.Done(outcome)
	case e.Query != nil:
		e.Query.Done(outcome)
	}
}

func (n *Node) unavailable(why string) error {
	return raft.Errorf(raft.Unavailable, "node %d is %s", n.ID, why)
}

// Act does what is to be done about all that was taken, if the node runs.
func (n *Node) Act() {
	if n.State() != Running {
		return
	}
	if n.rang && n.timer.Expired() {
		n.Server.TimeOut()
	}
	n.rang = false
	n.carryOut()
}

// carryOut does what follows; a node that cannot save it ceases.
func (n *Node) carryOut() {
	if err := n.Server.CarryOut(); err != nil {
		n.Cease("the node's storage failed")
		n.events.Failed(n.ID, err)
	}
}

func (n *Node) sendAll(messages []raft.Message) {
	if n.events.Sent != nil {
		n.events.Sent(messages, Monotonic())
	}
	for _, message := range messages {
		n.send(message)
	}
}

// Counters are what the node has sent and saved in all its lives.
func (n *Node) Counters() raft.Counters {
	counters := n.counters
	if n.remote != nil {
		counters.Bytes = new(n.remote.Bytes())
	}
	return counters
}

func (n *Node) status() Status {
	if n.State() == Crashed {
		return Status{}
	}
	return Status{n.State(), n.Server.Status()}
}

// Base is the node itself, of whatever embeds it.
func (n *Node) Base() *Node { return n }
