package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"raftmark/raft"
)

// inboxSize is how much may wait for one node. More messages than that are lost, as Raft lets
// any message be, and more commands refused, so that a node held up stalls nobody.
const inboxSize = 8192

// A transport carries messages between the nodes: into the channel of each.
type transport struct {
	inboxes map[raft.NodeID]chan event
	links   atomic.Pointer[raft.Links]

	running context.Context
	stop    context.CancelFunc
	delayed sync.WaitGroup // the messages on their way
}

func newTransport(nodes []raft.NodeID) *transport {
	t := &transport{inboxes: make(map[raft.NodeID]chan event, len(nodes))}
	for _, id := range nodes {
		t.inboxes[id] = make(chan event, inboxSize)
	}
	t.links.Store(&raft.Links{})
	t.running, t.stop = context.WithCancel(context.Background())
	return t
}

// close drops the messages on their way; no node may send any more.
func (t *transport) close() {
	t.stop()
	t.delayed.Wait()
}

// change changes the links for all messages sent from now on.
func (t *transport) change(links func(raft.Links) raft.Links) {
	for {
		before := t.links.Load()
		if t.links.CompareAndSwap(before, new(links(*before))) {
			return
		}
	}
}

// send sends a message as the links have it, and never waits. Random decides about faults.
func (t *transport) send(from raft.NodeID, message raft.Message, random func() float64) {
	links := t.links.Load()
	if links.Perfect() {
		t.deliver(message)
		return
	}
	for _, delay := range links.Delays(from, message.Recipient(), random) {
		if delay == 0 {
			t.deliver(message)
		} else {
			t.delayed.Go(func() { t.deliverAfter(delay, message) })
		}
	}
}

func (t *transport) deliverAfter(delay time.Duration, message raft.Message) {
	select {
	case <-time.After(delay):
		t.deliver(message)
	case <-t.running.Done():
	}
}

func (t *transport) deliver(message raft.Message) {
	select {
	case t.inboxes[message.Recipient()] <- event{message: message}:
	default:
	}
}
