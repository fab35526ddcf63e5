// Package cluster runs the Raft nodes of package raft as goroutines, in one process.
//
// Every node is one goroutine that owns all of the node's state; whoever wants something
// of it sends it a message, a proposal or a function to run. Nothing is locked.
package cluster

import (
	"sync"

	"raftmark/lives"
	"raftmark/raft"
)

// A Cluster is a running Raft cluster. Any goroutine may call its methods.
type Cluster struct {
	*lives.Operator[*node]
	config    lives.Config
	events    lives.Events
	transport *transport
	running   sync.WaitGroup
}

// Start starts the given nodes of a cluster. After an error, which is a storage's, none of them
// runs.
func Start(config lives.Config, nodes []raft.NodeID, events lives.Events) (*Cluster, error) {
	c := newCluster(config, events)
	if err := c.Load(nodes, c.newNode); err != nil {
		return nil, err
	}
	for _, id := range nodes {
		n := c.Node(id)
		n.Begin()
		c.running.Go(n.run)
	}
	return c, nil
}

func newCluster(config lives.Config, events lives.Events) *Cluster {
	c := &Cluster{config: config, events: events, transport: newTransport(config.Remote)}
	c.Operator = lives.NewOperator[*node](c.transport.change)
	return c
}

func (c *Cluster) newNode(id raft.NodeID) *node {
	c.transport.connect(id)
	return newNode(id, c.config, c.transport, c.events)
}

// Stop ends every node; afterwards no goroutine, timer or file of the cluster is left. No
// method may be called any more.
func (c *Cluster) Stop() {
	for _, n := range c.Nodes() {
		n.Call(n.end)
	}
	c.running.Wait()
	c.transport.close()
}

// Join starts a server that does not run, and that joins if it is no member (see
// [raft.Node.Join]). After a storage's error it is crashed.
//
// Its settings are those of all: the log that it is sent begins with the same first voters.
func (c *Cluster) Join(id raft.NodeID, joins bool) error {
	c.provide(id)
	return c.Revive(id, joins)
}

// provide has a node that is crashed, if there was none of that name.
func (c *Cluster) provide(id raft.NodeID) {
	c.Provide(id, func(id raft.NodeID) *node {
		n := c.newNode(id)
		c.running.Go(n.run)
		return n
	})
}

// Deploy has one node of a cluster whose others are elsewhere. It is crashed until it is restarted.
func Deploy(config lives.Config, id raft.NodeID, events lives.Events) *Cluster {
	c := newCluster(config, events)
	c.provide(id)
	return c
}

// Receive takes a message that has come from elsewhere for a node that is here. It never waits.
func (c *Cluster) Receive(message raft.Message) { c.transport.deliver(message) }
