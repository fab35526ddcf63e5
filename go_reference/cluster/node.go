package cluster

import (
	"runtime"

	"raftmark/lives"
	"raftmark/raft"
)

// A node is one server and the goroutine that owns it. All that is concurrent about it is
// its inbox: what comes waits there until the goroutine has a turn for it.
//
// In each turn the goroutine takes everything that waits, saves once and speaks to each
// peer once, so that load makes batches.
//
// There is one channel for all, not one for each kind of event, as a select over several
// would cost as much as the rest of a turn. That also keeps events in their order.
type node struct {
	*lives.Node
	inbox  chan event
	ending bool // the goroutine's own
}

// An event is what comes in a node's inbox.
type event struct {
	lives.Event
	call func() // instead, what the cluster asks for: run between two turns
}

func newNode(id raft.NodeID, config lives.Config, transport *transport, events lives.Events) *node {
	n := &node{inbox: transport.inbox(id)}
	timer := newTimer(func() { n.inbox <- event{} })
	send := func(message raft.Message) { transport.send(id, message, n.Faults.Float64) }
	n.Node = lives.NewNode(id, config, timer, send, events)
	return n
}

// end ends the goroutine.
func (n *node) end() {
	n.End()
	n.ending = true
}

// Call runs f in the node's goroutine, and returns when it is done.
func (n *node) Call(f func()) {
	done := make(chan struct{})
	n.inbox <- event{call: func() {
		defer close(done)
		f()
	}}
	<-done
}

// Ask lets a client's command or query wait for the node, if that would answer it.
func (n *node) Ask(e lives.Event) {
	if state := n.State(); state != lives.Running {
		n.Refuse(e, state.String())
		return
	}
	select {
	case n.inbox <- event{Event: e}:
	default:
		n.Refuse(e, "overloaded")
	}
}

// offer lets many commands come as one event: the inbox has room for it however many they are.
func (n *node) offer(commands []*raft.Command, done func(raft.Outcome)) {
	n.inbox <- event{call: func() {
		for _, command := range commands {
			n.Put(lives.Event{Proposal: raft.Proposal{Command: command, Done: done}})
		}
		n.Act()
	}}
}

// run is the goroutine: a turn for whatever happens.
func (n *node) run() {
	for !n.ending {
		n.turn()
	}
	// Nobody is left waiting, not even a timer that rang too late.
	for range len(n.inbox) {
		if call := n.take(<-n.inbox); call != nil {
			call()
		}
	}
}

// turn waits until something happens, and does what is to be done about it and about all
// else that waits by then.
func (n *node) turn() {
	call := n.take(<-n.inbox)
	if n.Server != nil && n.Server.Waiting() > 1 {
		// With several clients under way, those that are ready to speak go first, or each
		// would be a batch of its own. One client alone has nobody to wait for.
		runtime.Gosched()
	}
	for waiting := len(n.inbox); waiting > 0 && call == nil; waiting-- {
		call = n.take(<-n.inbox)
	}
	n.Act()
	if call != nil {
		call()
	}
}

// take takes an event, or returns what is to be called.
func (n *node) take(e event) (call func()) {
	if e.call == nil {
		n.Put(e.Event)
	}
	return e.call
}
