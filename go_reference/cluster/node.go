package cluster

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"

	"raftmark/raft"
	"raftmark/workload"
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

// A node is one server and the goroutine that owns it. All that is concurrent about it is
// its inbox: what comes waits there until the goroutine has a turn for it.
//
// In each turn the goroutine takes everything that waits, saves once and speaks to each
// peer once, so that load makes batches.
//
// There is one channel for all, not one for each kind of event, as a select over several
// would cost as much as the rest of a turn. That also keeps events in their order.
type node struct {
	id        raft.NodeID
	settings  raft.Settings
	storage   raft.Storage
	transport *transport
	events    Events
	inbox     chan event

	// Written by the goroutine only, so that all may see whether it would answer.
	lifecycle atomic.Int32

	// The goroutine's own. Core and machine are those of the present life.
	core     *raft.Node
	machine  *raft.StateMachine
	view     raft.View
	waiters  raft.Waiters
	timer    *timer
	timeouts *rand.Rand // of the election timeouts
	faults   *rand.Rand // of the links to the peers
	counters workload.Counters
	batch    []raft.Proposal // of this turn
	commands []*raft.Command // of the batch
	held     []event         // what came while the node was paused
	rang     bool            // the timer, in this turn
	ending   bool
}

// An event is what comes in a node's inbox: one of these, or none where the timer expired.
type event struct {
	message  raft.Message
	proposal raft.Proposal
	call     func() // what the cluster asks for, run between two turns
}

func newNode(id raft.NodeID, config Config, transport *transport, events Events) *node {
	n := &node{
		id:        id,
		settings:  config.Settings,
		storage:   config.storage(id),
		transport: transport,
		events:    events,
		inbox:     transport.inboxes[id],
		timeouts:  rand.New(rand.NewPCG(config.Seed, uint64(2*id))),
		faults:    rand.New(rand.NewPCG(config.Seed, uint64(2*id+1))),
	}
	n.timer = newTimer(func() { n.inbox <- event{} })
	return n
}

func (n *node) state() Lifecycle { return Lifecycle(n.lifecycle.Load()) }

func (n *node) become(state Lifecycle) { n.lifecycle.Store(int32(state)) }

// load prepares a life of the node from what the storage kept of the last one.
func (n *node) load() error {
	saved, err := n.storage.Load()
	if err != nil {
		return err
	}
	if saved.Repair != "" {
		n.events.Repaired(n.id, saved.Repair)
	}
	n.core = raft.NewNode(n.id, n.settings, n.timeouts.Float64, saved)
	n.machine = raft.NewStateMachine()
	return nil
}

// begin begins the life that was loaded.
func (n *node) begin() {
	n.view = n.core.View()
	n.events.RoleChanged(RoleChange{n.id, n.view, monotonic()})
	n.become(Running)
	n.act()
}

// cease ends a life of the node: all that was not saved is lost.
func (n *node) cease(reason string) {
	n.become(Crashed)
	n.timer.stop()
	n.core, n.machine = nil, nil
	n.waiters.Abandon(reason)
	for _, held := range n.held {
		n.lose(held)
	}
	n.held, n.rang = nil, false
	if err := n.storage.Close(); err != nil {
		n.events.Failed(n.id, err)
	}
}

// resume takes up what came while the node was paused.
func (n *node) resume() {
	n.become(Running)
	for _, held := range n.held {
		n.take(held)
	}
	n.held = nil
	n.act()
}

// end ends the goroutine.
func (n *node) end() {
	if n.state() != Crashed {
		n.cease("the cluster was stopped")
	}
	n.ending = true
}

// call runs f in the node's goroutine, and returns when it is done.
func (n *node) call(f func()) {
	done := make(chan struct{})
	n.inbox <- event{call: func() {
		defer close(done)
		f()
	}}
	<-done
}

// callIf is call where the node is in one of the states, and an error of code where not.
func (n *node) callIf(code raft.Code, f func() error, states ...Lifecycle) (err error) {
	n.call(func() {
		if slices.Contains(states, n.state()) {
			err = f()
		} else {
			err = raft.Errorf(code, "node %d is %s", n.id, n.state())
		}
	})
	return err
}

// propose lets a command wait for the node, if that would answer it.
func (n *node) propose(proposal raft.Proposal) {
	if state := n.state(); state != Running {
		n.refuse(proposal, state.String())
		return
	}
	select {
	case n.inbox <- event{proposal: proposal}:
	default:
		n.refuse(proposal, "overloaded")
	}
}

func (n *node) refuse(proposal raft.Proposal, why string) {
	proposal.Answer(raft.Outcome{Err: raft.Errorf(raft.Unavailable, "node %d is %s", n.id, why)})
}

func (n *node) status() Status {
	if n.state() == Crashed {
		return Status{}
	}
	return Status{
		Lifecycle:    n.state(),
		View:         n.core.View(),
		VotedFor:     n.core.VotedFor(),
		LastIndex:    n.core.Log().LastIndex(),
		CommitIndex:  n.core.CommitIndex(),
		AppliedIndex: n.machine.AppliedIndex(),
	}
}

// run is the goroutine.
func (n *node) run() {
	for !n.ending {
		switch n.state() {
		case Running:
			n.turn()
		case Paused:
			n.hold(<-n.inbox)
		case Crashed:
			n.lose(<-n.inbox)
		}
	}
	// Nobody is left waiting, not even a timer that rang too late.
	for range len(n.inbox) {
		n.lose(<-n.inbox)
	}
}

// turn waits until something happens, and does what is to be done about it and about all
// else that waits by then.
func (n *node) turn() {
	call := n.take(<-n.inbox)
	if n.waiters.Len()+len(n.batch) > 1 {
		// With several clients under way, those that are ready to speak go first, or each
		// would be a batch of its own. One client alone has nobody to wait for.
		runtime.Gosched()
	}
	for waiting := len(n.inbox); waiting > 0 && call == nil; waiting-- {
		call = n.take(<-n.inbox)
	}
	n.act()
	if call != nil {
		call()
	}
}

// take tells the core what happened, and returns what is to be called after that.
func (n *node) take(e event) (call func()) {
	switch {
	case e.message != nil:
		n.core.Step(e.message)
		n.announce()
	case e.proposal.Command != nil:
		n.batch = append(n.batch, e.proposal)
	case e.call == nil:
		n.rang = true
	}
	return e.call
}

// hold keeps what comes for a paused node: messages as far as there is room, as in the inbox.
func (n *node) hold(e event) {
	if e.call != nil {
		e.call()
	} else if e.message == nil || len(n.held) < inboxSize {
		n.held = append(n.held, e)
	}
}

// lose loses what comes for a crashed node.
func (n *node) lose(e event) {
	switch {
	case e.call != nil:
		e.call()
	case e.proposal.Command != nil:
		n.refuse(e.proposal, "crashed")
	}
}

// act does what is to be done about all that was taken.
func (n *node) act() {
	if n.rang && n.timer.expired() {
		n.core.Timeout()
		n.announce()
	}
	n.rang = false
	n.takeProposals()
	n.perform()
}

// takeProposals appends the batch to the log, if the node leads.
func (n *node) takeProposals() {
	if len(n.batch) == 0 {
		return
	}
	n.commands = n.commands[:0]
	for _, proposal := range n.batch {
		n.commands = append(n.commands, proposal.Command)
	}
	view := n.core.View()
	if first, ok := n.core.Propose(n.commands...); ok {
		n.waiters.Add(first, view.Term, n.batch)
	} else {
		for _, proposal := range n.batch {
			proposal.Answer(raft.Outcome{Err: raft.NotTheLeader(view.Leader)})
		}
	}
	n.batch = n.batch[:0]
}

// perform does what the core asks for, in the order that keeps Raft's promises: save, then
// send, then answer.
func (n *node) perform() {
	ready := n.core.Ready()
	if !ready.Save.Empty() {
		if err := n.storage.Save(ready.Save); err != nil {
			n.cease("the node's storage failed")
			n.events.Failed(n.id, err)
			return
		}
		n.counters.Saves++
		n.counters.Entries += len(ready.Save.Entries)
	}
	for _, message := range ready.Messages {
		n.transport.send(n.id, message, n.faults.Float64)
	}
	n.counters.Messages += len(ready.Messages)
	if len(ready.Committed) > 0 {
		n.waiters.Applied(n.machine.AppliedIndex()+1, ready.Committed, n.machine.Apply)
	}
	if ready.Timer > 0 {
		n.timer.restart(ready.Timer)
	}
}

// announce tells of a change of role, term or leader.
func (n *node) announce() {
	if view := n.core.View(); view != n.view {
		n.view = view
		n.events.RoleChanged(RoleChange{n.id, view, monotonic()})
	}
}
