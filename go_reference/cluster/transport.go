package cluster

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// A transport carries messages between the nodes: into the channel of each, or where the others are
// not here, to where they are.
type transport struct {
	network atomic.Pointer[network]
	remote  lives.Remote // nil where all nodes are here

	running context.Context
	stop    context.CancelFunc
	delayed sync.WaitGroup // the messages on their way
}

// A network is what a message finds on its way. It is never changed, but replaced.
type network struct {
	links   raft.Links
	inboxes map[raft.NodeID]chan event
}

func newTransport(remote lives.Remote) *transport {
	t := &transport{remote: remote}
	t.network.Store(&network{})
	t.running, t.stop = context.WithCancel(context.Background())
	return t
}

// connect gives a node an inbox, before anything is sent to it.
func (t *transport) connect(id raft.NodeID) {
	t.replace(func(n network) network {
		n.inboxes = maps.Clone(n.inboxes)
		if n.inboxes == nil {
			n.inboxes = map[raft.NodeID]chan event{}
		}
		n.inboxes[id] = make(chan event, lives.Room)
		return n
	})
}

func (t *transport) inbox(id raft.NodeID) chan event { return t.network.Load().inboxes[id] }

// close drops the messages on their way; no node may send any more.
func (t *transport) close() {
	t.stop()
	t.delayed.Wait()
}

// change changes the links for all messages sent from now on.
func (t *transport) change(links func(raft.Links) raft.Links) {
	t.replace(func(n network) network {
		n.links = links(n.links)
		return n
	})
}

func (t *transport) replace(change func(network) network) {
	for {
		before := t.network.Load()
		if t.network.CompareAndSwap(before, new(change(*before))) {
			return
		}
	}
}

// send sends a message as the links have it, and never waits. Random decides about faults.
func (t *transport) send(from raft.NodeID, message raft.Message, random func() float64) {
	links := &t.network.Load().links
	if links.Perfect() {
		t.pass(message, 0)
		return
	}
	for _, delay := range links.Delays(from, message.Recipient(), random) {
		t.pass(message, delay)
	}
}

// pass passes a message on, which is to take so long.
func (t *transport) pass(message raft.Message, delay time.Duration) {
	switch {
	case t.remote != nil:
		t.remote.Send(message, delay)
	case delay == 0:
		t.deliver(message)
	default:
		t.delayed.Go(func() { t.deliverAfter(delay, message) })
	}
}

func (t *transport) deliverAfter(delay time.Duration, message raft.Message) {
	select {
	case <-time.After(delay):
		t.deliver(message)
	case <-t.running.Done():
	}
}

// deliver puts a message into an inbox, if there is room: none in that of a member that was
// never started, which is nil.
func (t *transport) deliver(message raft.Message) {
	select {
	case t.inbox(message.Recipient()) <- event{Event: lives.Event{Message: message}}:
	default:
	}
}
