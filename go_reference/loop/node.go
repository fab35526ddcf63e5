package loop

import (
	"iter"

	"raftmark/lives"
	"raftmark/raft"
)

// A node is one server, as a coroutine of the loop: it has a turn when something waits in its
// mailbox, and takes all of that. It keeps the loop to itself until its turn is over, but for its
// saves on disk, which another goroutine does while the loop goes on.
type node struct {
	*lives.Node
	loop    *loop
	mailbox *mailbox
	resume  func() (struct{}, bool)
	suspend func(struct{}) bool
	saving  bool
	ending  bool
}

func newNode(
	id raft.NodeID, config lives.Config, loop *loop, transport *transport, events lives.Events,
) *node {
	n := &node{loop: loop}
	wake := n.wake
	n.mailbox = &mailbox{wake: func() { loop.soon(wake) }}
	timer := newTimer(loop, func() { n.mailbox.put(event{}) })
	send := func(message raft.Message) { transport.send(id, message, n.Faults.Float64) }
	n.Node = lives.NewNode(id, config, timer, send, events)
	if config.DataDir != "" {
		n.Storage = &disk{n.Storage, n}
	}
	return n
}

// end ends the coroutine.
func (n *node) end() {
	n.End()
	n.ending = true
}

// Call runs f in the loop when the node has acted upon all that came before, and returns when it is
// done.
func (n *node) Call(f func()) {
	done := make(chan struct{})
	n.loop.calls <- func() {
		n.mailbox.put(event{call: func() {
			defer close(done)
			f()
		}})
	}
	<-done
}

// Ask lets a client's command or query wait for the node, if that would answer it.
func (n *node) Ask(e lives.Event) {
	if state := n.State(); state != lives.Running {
		n.Refuse(e, state.String())
		return
	}
	n.loop.calls <- func() { n.ask(e) }
}

// ask is Ask in the loop itself.
func (n *node) ask(e lives.Event) {
	switch state := n.State(); {
	case state != lives.Running:
		n.Refuse(e, state.String())
	case len(n.mailbox.events) >= lives.Room:
		n.Refuse(e, "overloaded")
	default:
		n.mailbox.put(event{Event: e})
	}
}

// wake lets the coroutine go on, unless it waits for something else than mail.
func (n *node) wake() {
	if n.resume == nil {
		n.resume, _ = iter.Pull(n.live)
	}
	if !n.saving && len(n.mailbox.events) > 0 {
		n.resume()
	}
}

// live is the coroutine: a turn whenever it is resumed.
func (n *node) live(suspend func(struct{}) bool) {
	n.suspend = suspend
	for n.turn(); !n.ending; n.turn() {
		suspend(struct{}{})
	}
}

// turn does what is to be done about all that waits.
func (n *node) turn() {
	for _, e := range n.mailbox.take() {
		if e.call == nil {
			n.Put(e.Event)
		} else {
			n.Act()
			e.call()
		}
	}
	n.Act()
}

// A disk is a node's storage, whose saves hold up the node and nobody else.
type disk struct {
	raft.Storage
	node *node
}

// Save suspends the node until another goroutine has saved.
func (d *disk) Save(save raft.Save) (err error) {
	n := d.node
	n.saving = true
	go func() {
		err = d.Storage.Save(save)
		n.loop.calls <- func() {
			n.saving = false
			n.resume()
			n.loop.soon(n.wake) // for what came meanwhile
		}
	}()
	n.suspend(struct{}{})
	return err
}
