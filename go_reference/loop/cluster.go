// Package loop runs the Raft nodes of package raft in an event loop: one goroutine, which takes
// all nodes of a cluster in turn.
//
// It is what package cluster does in the manner of asyncio, and of every event loop: nodes are
// coroutines that wake each other by a run queue, timers are a heap, clients are callbacks. There
// is no channel between two nodes, and one into the loop for whoever is outside of it.
package loop

import (
	"sync"

	"raftmark/lives"
	"raftmark/raft"
)

// A Cluster is a running Raft cluster. Any goroutine may call its methods, but the loop's own.
type Cluster struct {
	*lives.Operator[*node]
	config    lives.Config
	events    lives.Events
	loop      *loop
	transport *transport
	running   sync.WaitGroup
}

// Start starts the given nodes of a cluster. After an error, which is a storage's, none of them
// runs.
func Start(config lives.Config, nodes []raft.NodeID, events lives.Events) (*Cluster, error) {
	loop := newLoop()
	c := &Cluster{config: config, events: events, loop: loop, transport: newTransport(loop)}
	c.Operator = lives.NewOperator[*node](c.transport.change)
	if err := c.Load(nodes, c.newNode); err != nil {
		return nil, err
	}
	for _, id := range nodes {
		c.transport.connect(c.Node(id))
	}
	c.running.Go(loop.run)
	for _, id := range nodes {
		n := c.Node(id)
		n.Call(n.Begin)
	}
	return c, nil
}

func (c *Cluster) newNode(id raft.NodeID) *node {
	return newNode(id, c.config, c.loop, c.transport, c.events)
}

// Stop ends every node and the loop; afterwards no goroutine, timer or file of the cluster is left.
// No method may be called any more.
func (c *Cluster) Stop() {
	for _, n := range c.Nodes() {
		n.Call(n.end)
	}
	c.loop.do(c.loop.end)
	c.running.Wait()
}

// Join starts a server that does not run, and that joins if it is no member (see
// [raft.Node.Join]). After a storage's error it is crashed.
//
// Its settings are those of all: the log that it is sent begins with the same first voters.
func (c *Cluster) Join(id raft.NodeID, joins bool) error {
	c.Provide(id, c.newNode)
	n := c.Node(id)
	c.loop.do(func() { c.transport.connect(n) })
	return c.Revive(id, joins)
}
