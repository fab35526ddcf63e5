package cluster

import (
	"math/rand/v2"
	"runtime"
	"slices"
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

	// The goroutine's own. The server is that of the present life, and nil between two.
	server   *raft.Server
	timer    *timer
	timeouts *rand.Rand // of the election timeouts
	faults   *rand.Rand // of the links to the peers
	counters raft.Counters
	held     []event // what came while the node was paused
	rang     bool    // the timer, in this turn
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
	n.server = raft.NewServer(n.id, n.settings, n.timeouts.Float64, saved, raft.Runtime{
		Save:         n.storage.Save,
		Send:         n.send,
		RestartTimer: n.timer.restart,
		Announce:     func(view raft.View) { n.events.RoleChanged(RoleChange{n.id, view, Monotonic()}) },
		ReportLoss:   func(lost raft.LostEntries) { n.events.EntriesLost(lost, n.id, Monotonic()) },
		TellMembers:  n.events.MembersCommitted,
		Now:          time.Now,
		Counters:     &n.counters,
	})
	return nil
}

// begin begins the life that was loaded.
func (n *node) begin() {
	n.server.Begin()
	n.become(Running)
	n.act()
}

// cease ends a life of the node: all that was not saved is lost.
func (n *node) cease(reason string) {
	n.become(Crashed)
	n.timer.stop()
	n.server.Abandon(reason, n.unavailable(Crashed.String()))
	n.server = nil
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
		n.server.AwaitApplied(index, done)
		n.carryOut()
		return nil
	}, Running)
}

func (n *node) status() Status {
	if n.state() == Crashed {
		return Status{}
	}
	return Status{n.state(), n.server.Status()}
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
	if n.server.Waiting() > 1 {
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

// take tells the server what happened, and returns what is to be called after that.
func (n *node) take(e event) (call func()) {
	switch {
	case e.message != nil:
		n.server.Receive(e.message)
	case e.proposal.Command != nil:
		n.server.Propose(e.proposal)
	case e.query != nil:
		n.server.Read(*e.query)
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
		n.server.TimeOut()
	}
	n.rang = false
	n.carryOut()
}

// carryOut does what follows; a node that cannot save it ceases.
func (n *node) carryOut() {
	if err := n.server.CarryOut(); err != nil {
		n.cease("the node's storage failed")
		n.events.Failed(n.id, err)
	}
}

func (n *node) send(messages []raft.Message) {
	if n.events.Sent != nil {
		n.events.Sent(messages, Monotonic())
	}
	for _, message := range messages {
		n.transport.send(n.id, message, n.faults.Float64)
	}
}
