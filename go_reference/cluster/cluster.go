// Package cluster runs the Raft nodes of package raft as goroutines, in one process.
//
// Every node is one goroutine that owns all of the node's state; whoever wants something
// of it sends it a message, a proposal or a function to run. Nothing is locked.
package cluster

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"raftmark/raft"
)

// Config is what a cluster is started with. With a DataDir node i keeps its data in the
// file node-i.log there, without one in memory. All randomness derives from Seed.
type Config struct {
	Settings raft.Settings
	DataDir  string
	Seed     uint64
}

func (c Config) storage(id raft.NodeID) raft.Storage {
	if c.DataDir == "" {
		return raft.NewMemoryStorage()
	}
	return raft.NewDiskStorage(c.File(id))
}

// File is where a node keeps its data, with a DataDir.
func (c Config) File(id raft.NodeID) string {
	return filepath.Join(c.DataDir, fmt.Sprintf("node-%d.log", id))
}

// A RoleChange says that a node changed its role, its term or the leader it knows.
type RoleChange struct {
	Node raft.NodeID
	raft.View
	AtNs int64 // CLOCK_MONOTONIC
}

// Events are whom a cluster tells. All are called from the nodes' goroutines, and must
// neither block nor call the cluster.
type Events struct {
	RoleChanged func(RoleChange)
	// Failed: a node ceased by a fault of its own, its storage's for instance.
	Failed func(raft.NodeID, error)
	// Repaired: a node's storage had to be repaired before it could be opened.
	Repaired func(raft.NodeID, string)
	// EntriesLost: what a node had acknowledged its leader finds that it lacks, at a time (ns).
	EntriesLost func(lost raft.LostEntries, leader raft.NodeID, atNs int64)
	// Sent: a node sends these messages at a time (ns). It is nil where nobody asks for a trace.
	Sent func([]raft.Message, int64)
	// MembersCommitted: a change of members is committed, or was before this leader's time,
	// whoever waits for it.
	MembersCommitted func(raft.Membership)
}

// Status is what a node is at one moment. A crashed node is nothing but that.
type Status struct {
	Lifecycle Lifecycle
	raft.Status
}

// A Replica is a copy of a node's log and state machine at the moment of its status. Hashing
// these takes longer than an election timeout: better not in the node's own time.
type Replica struct {
	Status
	Log     *raft.ReplicatedLog
	Machine *raft.StateMachine
}

// A Cluster is a running Raft cluster. Any goroutine may call its methods; each returns when
// what it asks for is done. What a node's state does not allow is refused with a
// [raft.Error] and changes nothing.
type Cluster struct {
	config    Config
	events    Events
	transport *transport
	running   sync.WaitGroup

	mu    sync.Mutex
	nodes map[raft.NodeID]*node // those who ever were; it only grows
}

// Start starts the given nodes of a cluster. After an error, which is a storage's, none of them
// runs.
func Start(config Config, nodes []raft.NodeID, events Events) (*Cluster, error) {
	c := &Cluster{
		config:    config,
		events:    events,
		transport: newTransport(nodes),
		nodes:     make(map[raft.NodeID]*node, len(nodes)),
	}
	for _, id := range nodes {
		c.nodes[id] = newNode(id, config, c.transport, events)
	}
	for _, id := range nodes {
		if err := c.nodes[id].load(); err != nil {
			return nil, errors.Join(err, c.closeStorages())
		}
	}
	for _, id := range nodes {
		c.nodes[id].begin()
		c.running.Go(c.nodes[id].run)
	}
	return c, nil
}

func (c *Cluster) closeStorages() (err error) {
	for _, n := range c.nodes {
		err = errors.Join(err, n.storage.Close())
	}
	return err
}

// Stop ends every node; afterwards no goroutine, timer or file of the cluster is left. No
// method may be called any more.
func (c *Cluster) Stop() {
	for _, n := range c.nodes {
		n.call(n.end)
	}
	c.running.Wait()
	c.transport.close()
}

// Join starts a server that is no member yet, or no more one. After a storage's error it is
// crashed.
//
// Its settings are those of all: the log that it is sent begins with the same first voters.
func (c *Cluster) Join(id raft.NodeID) error {
	c.mu.Lock()
	if c.nodes[id] == nil {
		c.transport.connect(id)
		n := newNode(id, c.config, c.transport, c.events)
		c.nodes[id] = n
		c.running.Go(n.run)
	}
	c.mu.Unlock()
	return c.Restart(id)
}

// Leave ends the life of a server that is no member any more, if it lives.
func (c *Cluster) Leave(id raft.NodeID) {
	n := c.node(id)
	n.call(func() {
		if n.state() != Crashed {
			n.cease("the node was removed")
		}
	})
}

func (c *Cluster) node(id raft.NodeID) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// Submit proposes a command to a node. The outcome comes when the command was applied on
// that node, or it is known that this will not be known there; from a node that is paused
// in between not before it goes on, and from a cluster that is stopped perhaps never.
func (c *Cluster) Submit(id raft.NodeID, command *raft.Command) <-chan raft.Outcome {
	done := make(chan raft.Outcome, 1)
	c.node(id).propose(raft.Proposal{Command: command, Done: done})
	return done
}

// Read asks a node for a key's value, without a log entry. The outcome comes as Submit's does.
func (c *Cluster) Read(id raft.NodeID, key string) <-chan raft.Outcome {
	done := make(chan raft.Outcome, 1)
	c.node(id).read(raft.Query{Key: key, Done: done})
	return done
}

// Applied tells when a running node, whoever leads, has applied the entry at index. The outcome
// comes as a read's does.
func (c *Cluster) Applied(id raft.NodeID, index int) (<-chan raft.Outcome, error) {
	done := make(chan raft.Outcome, 1)
	return done, c.node(id).awaitApplied(index, done)
}

// Lifecycle is a node's.
func (c *Cluster) Lifecycle(id raft.NodeID) Lifecycle { return c.node(id).state() }

// Counters are what a node has sent and saved since the cluster was started.
func (c *Cluster) Counters(id raft.NodeID) (counters raft.Counters) {
	n := c.node(id)
	n.call(func() { counters = n.counters })
	return counters
}

// Status is a node's status; a paused one's is what it was when it was paused.
func (c *Cluster) Status(id raft.NodeID) (status Status) {
	n := c.node(id)
	n.call(func() { status = n.status() })
	return status
}

// Replica is a node's status with all that it holds, of which a crashed node has nothing.
func (c *Cluster) Replica(id raft.NodeID) (replica Replica) {
	n := c.node(id)
	n.call(func() {
		replica.Status = n.status()
		if replica.Lifecycle != Crashed {
			replica.Log, replica.Machine = n.server.Replica()
		}
	})
	return replica
}

// Log is a running node's log from first to last, both inclusive, cut to what is kept.
func (c *Cluster) Log(id raft.NodeID, first, last int) (log raft.LogSlice, err error) {
	n := c.node(id)
	err = n.callIf(raft.Unavailable, func() error {
		log = n.server.Log(first, last)
		return nil
	}, Running)
	return log, err
}

// Crash makes a node lose all that it had not saved; the time (CLOCK_MONOTONIC, ns) is that
// when it ceased.
func (c *Cluster) Crash(id raft.NodeID) (atNs int64, err error) {
	n := c.node(id)
	err = n.callIf(raft.BadRequest, func() error {
		n.cease("the node crashed")
		atNs = Monotonic()
		return nil
	}, Running, Paused)
	return atNs, err
}

// Restart starts a crashed node from its storage. After a storage's error it is still
// crashed.
func (c *Cluster) Restart(id raft.NodeID) error {
	n := c.node(id)
	return n.callIf(raft.BadRequest, func() error {
		if err := n.load(); err != nil {
			return raft.Errorf(raft.Unavailable, "%v", err)
		}
		n.begin()
		return nil
	}, Crashed)
}

// Pause hangs a running node: it keeps its state, and does nothing.
func (c *Cluster) Pause(id raft.NodeID) error {
	n := c.node(id)
	return n.callIf(raft.BadRequest, func() error { n.become(Paused); return nil }, Running)
}

// Resume lets a paused node go on with what has waited.
func (c *Cluster) Resume(id raft.NodeID) error {
	n := c.node(id)
	return n.callIf(raft.BadRequest, func() error { n.resume(); return nil }, Paused)
}

// Heartbeat lets a leader speak to all its followers now.
func (c *Cluster) Heartbeat(id raft.NodeID) error {
	n := c.node(id)
	return n.callIf(raft.Unavailable, func() error {
		if view := n.server.View(); view.Role != raft.Leader {
			return raft.NotTheLeader(view.Leader)
		}
		n.server.Heartbeat()
		n.carryOut()
		return nil
	}, Running)
}

// Transfer lets a leader hand over to another node; false if it does not lead, or that may
// not.
func (c *Cluster) Transfer(id, to raft.NodeID) (begun bool, err error) {
	n := c.node(id)
	err = n.callIf(raft.Unavailable, func() error {
		begun = n.server.Transfer(to)
		n.carryOut()
		return nil
	}, Running)
	return begun, err
}

// Compact lets a running node replace its log by a snapshot, as far as that is applied, and
// returns the snapshot.
func (c *Cluster) Compact(id raft.NodeID) (snapshot *raft.Snapshot, err error) {
	n := c.node(id)
	err = n.callIf(raft.Unavailable, func() error {
		snapshot = n.server.Compact()
		n.carryOut()
		if state := n.state(); state != Running {
			return n.unavailable(state.String())
		}
		return nil
	}, Running)
	return snapshot, err
}

// Partition lets only nodes of the same group reach each other; nil heals.
func (c *Cluster) Partition(groups [][]raft.NodeID) {
	c.transport.change(func(links raft.Links) raft.Links { return links.Partitioned(groups) })
}

// Block cuts these links, each in one direction, and no others.
func (c *Cluster) Block(ways []raft.Way) {
	c.transport.change(func(links raft.Links) raft.Links { return links.Blocked(ways) })
}

// Cut cuts these links besides what is cut already, until they are mended.
func (c *Cluster) Cut(ways []raft.Way) (mend func()) {
	c.transport.change(func(links raft.Links) raft.Links { return links.Cut(ways) })
	return func() {
		c.transport.change(func(links raft.Links) raft.Links { return links.Mended(ways) })
	}
}

// Degrade gives every link these faults.
func (c *Cluster) Degrade(faults raft.Faults) {
	c.transport.change(func(links raft.Links) raft.Links { return links.Degraded(faults) })
}
