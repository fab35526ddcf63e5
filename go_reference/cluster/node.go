package cluster

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"

	"raftmark/raft"
	"raftmark/workload"
)

// proposalsSize is how many commands may wait for one node; more are refused.
const proposalsSize = 8192

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
// in its channels: what comes in waits there until the goroutine has a turn for it.
//
// In each turn the goroutine takes everything that waits, saves once and speaks to each
// peer once, so that load makes batches.
type node struct {
	id        raft.NodeID
	settings  raft.Settings
	storage   raft.Storage
	transport *transport
	events    Events

	inbox     <-chan raft.Message
	proposals chan raft.Proposal
	calls     chan func() // what the cluster asks for, run between two turns

	// Written by the goroutine only, so that all may see whether it would answer.
	lifecycle atomic.Int32

	// The goroutine's own. Core and machine are those of the present life.
	core     *raft.Node
	machine  *raft.StateMachine
	view     raft.View
	waiters  raft.Waiters
	timer    timer
	timeouts *rand.Rand // of the election timeouts
	faults   *rand.Rand // of the links to the peers
	counters workload.Counters
	batch    []raft.Proposal
	commands []*raft.Command
	ended    bool
}

func newNode(id raft.NodeID, config Config, transport *transport, events Events) *node {
	return &node{
		id:        id,
		settings:  config.Settings,
		storage:   config.storage(id),
		transport: transport,
		events:    events,
		inbox:     transport.inboxes[id],
		proposals: make(chan raft.Proposal, proposalsSize),
		calls:     make(chan func()),
		timer:     newTimer(),
		timeouts:  rand.New(rand.NewPCG(config.Seed, uint64(2*id))),
		faults:    rand.New(rand.NewPCG(config.Seed, uint64(2*id+1))),
	}
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
	n.lose("crashed")
	n.view = n.core.View()
	n.events.RoleChanged(RoleChange{n.id, n.view, monotonic()})
	n.become(Running)
	n.perform()
}

// cease ends a life of the node: all that was not saved is lost.
func (n *node) cease(reason string) {
	n.become(Crashed)
	n.timer.Stop()
	n.core, n.machine = nil, nil
	n.waiters.Abandon(reason)
	if err := n.storage.Close(); err != nil {
		n.events.Failed(n.id, err)
	}
}

// end ends the goroutine.
func (n *node) end() {
	if n.state() != Crashed {
		n.cease("the cluster was stopped")
	}
	n.lose("stopped")
	n.ended = true
}

// lose loses what waits for the node.
func (n *node) lose(why string) {
	for range len(n.inbox) {
		<-n.inbox
	}
	for range len(n.proposals) {
		n.refuse(<-n.proposals, why)
	}
}

// call runs f in the node's goroutine, and returns when it is done.
func (n *node) call(f func()) {
	done := make(chan struct{})
	n.calls <- func() {
		defer close(done)
		f()
	}
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
	case n.proposals <- proposal:
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
	for !n.ended {
		switch n.state() {
		case Crashed:
			n.lieCrashed()
		case Paused:
			(<-n.calls)()
		case Running:
			n.turn()
		}
	}
}

// lieCrashed waits for what comes for a crashed node, which is lost too.
func (n *node) lieCrashed() {
	select {
	case <-n.inbox:
	case proposal := <-n.proposals:
		n.refuse(proposal, "crashed")
	case call := <-n.calls:
		call()
	}
}

// turn waits until something happens, and does what is to be done about it and about all
// else that waits by then.
func (n *node) turn() {
	expired := false
	select {
	case message := <-n.inbox:
		n.step(message)
	case proposal := <-n.proposals:
		n.batch = append(n.batch, proposal)
	case <-n.timer.C:
		expired = true
	case call := <-n.calls:
		call()
		return
	}
	if n.waiters.Len()+len(n.batch) > 1 {
		// With several clients under way, those that are ready to speak go first, or each
		// would be a batch of its own. One client alone has nobody to wait for.
		runtime.Gosched()
	}
	for range len(n.inbox) {
		n.step(<-n.inbox)
	}
	for range len(n.proposals) {
		n.batch = append(n.batch, <-n.proposals)
	}
	if expired {
		n.core.Timeout()
		n.announce()
	}
	n.takeProposals()
	n.perform()
}

func (n *node) step(message raft.Message) {
	n.core.Step(message)
	n.announce()
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
