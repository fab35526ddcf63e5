package loop

import (
	"raftmark/lives"
	"raftmark/raft"
)

// A transport carries messages between the nodes: into the mailbox of each.
type transport struct {
	loop      *loop
	links     raft.Links
	mailboxes map[raft.NodeID]*mailbox
}

func newTransport(loop *loop) *transport {
	return &transport{loop: loop, mailboxes: map[raft.NodeID]*mailbox{}}
}

// connect lets a node be reached.
func (t *transport) connect(n *node) { t.mailboxes[n.ID] = n.mailbox }

// change changes the links for all messages sent from now on; from another goroutine.
func (t *transport) change(links func(raft.Links) raft.Links) {
	t.loop.do(func() { t.links = links(t.links) })
}

// send sends a message as the links have it. Random decides about faults.
func (t *transport) send(from raft.NodeID, message raft.Message, random func() float64) {
	if t.links.Perfect() {
		t.deliver(message)
		return
	}
	for _, delay := range t.links.Delays(from, message.Recipient(), random) {
		if delay == 0 {
			t.deliver(message)
		} else {
			newTimer(t.loop, func() { t.deliver(message) }).Restart(delay)
		}
	}
}

// deliver puts a message into a mailbox, if there is one, and room.
func (t *transport) deliver(message raft.Message) {
	if box := t.mailboxes[message.Recipient()]; box != nil && len(box.events) < lives.Room {
		box.put(event{Event: lives.Event{Message: message}})
	}
}

// A mailbox is what waits for a node.
type mailbox struct {
	events []event
	spare  []event // what was taken last
	wake   func()  // called when the first comes
}

// An event is what comes for a node.
type event struct {
	lives.Event
	call func() // instead, what the cluster asks for: run between two turns
}

func (m *mailbox) put(e event) {
	if len(m.events) == 0 {
		m.wake()
	}
	m.events = append(m.events, e)
}

// take takes out all that waits, for as long as until it takes again.
func (m *mailbox) take() []event {
	clear(m.spare)
	taken := m.events
	m.events, m.spare = m.spare[:0], taken
	return taken
}
