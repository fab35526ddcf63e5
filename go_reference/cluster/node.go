package cluster

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

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
	readers  raft.Readers
	timer    *timer
	timeouts *rand.Rand // of the election timeouts
	faults   *rand.Rand // of the links to the peers
	counters workload.Counters
	batch    []raft.Proposal // of this turn
	commands []*raft.Command // of the batch
	queries  []raft.Query    // of this turn
	held     []event         // what came while the node was paused
	rang     bool            // the timer, in this turn
	ending   bool
}

// An event is what comes in a node's inbox: one of these, or none where the timer expired.
type event struct {
	message  raft.Message
	proposal raft.Proposal
	query    *raft.Query
	call     func() // what the cluster asks for, run between two turns
}

func newNode(id raft.NodeID, config Config, transport *transport, events Events) *node {
	n := &node{
		id:        id,
		settings:  config.Settings,
		storage:   config.storage(id),
		transport: transport,
		events:    events,
		inbox:     transport.inbox(id),
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
	n.events.RoleChanged(RoleChange{n.id, n.view, Monotonic()})
	n.become(Running)
	n.act()
}

// cease ends a life of the node: all that was not saved is lost.
func (n *node) cease(reason string) {
	n.become(Crashed)
	n.timer.stop()
	n.core, n.machine = nil, nil
	n.waiters.Abandon(reason)
	n.readers.Abandon(n.unavailable(Crashed.String()))
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

func (n *node) propose(proposal raft.Proposal) { n.ask(event{proposal: proposal}) }

func (n *node) read(query raft.Query) { n.ask(event{query: &query}) }

// offer lets many commands come as one event: the inbox has room for it however many they are.
func (n *node) offer(commands []*raft.Command, done chan<- raft.Outcome) {
	n.inbox <- event{call: func() {
		for _, command := range commands {
			e := event{proposal: raft.Proposal{Command: command, Done: done}}
			switch n.state() {
			case Running:
				n.take(e)
			case Paused:
				n.hold(e)
			case Crashed:
				n.lose(e)
			}
		}
		if n.state() == Running {
			n.act()
		}
	}}
}

// ask lets a client's command or query wait for the node, if that would answer it.
func (n *node) ask(e event) {
	if state := n.state(); state != Running {
		n.refuse(e, state.String())
		return
	}
	select {
	case n.inbox <- e:
	default:
		n.refuse(e, "overloaded")
	}
}

// refuse answers a client, if the event is one's.
func (n *node) refuse(e event, why string) {
	outcome := raft.Outcome{Err: n.unavailable(why)}
	switch {
	case e.proposal.Command != nil:
		e.proposal.Answer(outcome)
	case e.query != nil:
		e.query.Answer(outcome)
	}
}

func (n *node) unavailable(why string) error {
	return raft.Errorf(raft.Unavailable, "node %d is %s", n.id, why)
}

// awaitApplied waits until the node, whoever leads, has applied the entry at index.
func (n *node) awaitApplied(index int, done chan<- raft.Outcome) error {
	return n.callIf(raft.Unavailable, func() error {
		n.readers.Await(index, raft.Query{Done: done})
		n.perform()
		return nil
	}, Running)
}

func (n *node) status() Status {
	if n.state() == Crashed {
		return Status{}
	}
	log := n.core.Log()
	return Status{
		Lifecycle:     n.state(),
		View:          n.core.View(),
		VotedFor:      n.core.VotedFor(),
		FirstIndex:    log.FirstIndex(),
		LastIndex:     log.LastIndex(),
		CommitIndex:   n.core.CommitIndex(),
		AppliedIndex:  n.machine.AppliedIndex(),
		SnapshotIndex: n.core.Snapshot().LastIndex,
		Configuration: n.core.Configuration(),
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
	if n.waiters.Len()+len(n.batch)+n.readers.Len()+len(n.queries) > 1 {
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
	case e.query != nil:
		n.queries = append(n.queries, *e.query)
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
	if e.call != nil {
		e.call()
	} else {
		n.refuse(e, Crashed.String())
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
	n.takeQueries()
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
			proposal.Answer(raft.Outcome{Err: raft.NotTheLeader(n.core.LeaderHint())})
		}
	}
	n.batch = n.batch[:0]
}

// takeQueries lets the queries wait until the node knows that it still leads.
func (n *node) takeQueries() {
	if len(n.queries) == 0 {
		return
	}
	if round, ok := n.core.Read(); ok {
		n.readers.Add(round, n.queries)
	} else {
		for _, query := range n.queries {
			query.Answer(raft.Outcome{Err: raft.NotTheLeader(n.core.View().Leader)})
		}
	}
	n.queries = n.queries[:0]
}

// perform does what the core asks for, in the order that keeps Raft's promises: save, then
// send, then apply and answer.
func (n *node) perform() {
	ready := n.core.Ready()
	if !ready.Save.Empty() {
		began := time.Now()
		if err := n.storage.Save(ready.Save); err != nil {
			n.cease("the node's storage failed")
			n.events.Failed(n.id, err)
			return
		}
		n.counters.SaveNs += time.Since(began).Nanoseconds()
		n.counters.Saves++
		n.counters.Entries += len(ready.Save.Entries)
	}
	if n.events.Sent != nil {
		n.events.Sent(ready.Messages, Monotonic())
	}
	for _, message := range ready.Messages {
		n.transport.send(n.id, message, n.faults.Float64)
	}
	n.counters.Messages += len(ready.Messages)
	if ready.Snapshot != nil {
		n.machine.Restore(ready.Snapshot)
		n.waiters.Skipped(ready.Snapshot.LastIndex)
	}
	if len(ready.Committed) > 0 {
		n.waiters.Applied(n.machine.AppliedIndex()+1, ready.Committed, n.machine.Apply)
	}
	n.readers.Resolve(ready.Reads, n.machine, n.core.View().Leader)
	if n.core.SnapshotDue() {
		n.core.TakeSnapshot(n.machine.Items(), true)
	}
	if ready.Timer > 0 {
		n.timer.restart(ready.Timer)
	}
}

// announce tells of a change of role, term or leader.
func (n *node) announce() {
	if view := n.core.View(); view != n.view {
		n.view = view
		n.events.RoleChanged(RoleChange{n.id, view, Monotonic()})
	}
}
