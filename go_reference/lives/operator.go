package lives

import (
	"errors"
	"slices"
	"sync"

	"raftmark/raft"
)

// Reachable is a node with its runtime's ways to reach it from another goroutine.
type Reachable interface {
	Base() *Node // which it embeds
	// Call runs a function where the node belongs, when all that came before is acted upon, and
	// returns when it is done.
	Call(func())
	// Ask lets a client's command or query wait for the node, if that would answer it.
	Ask(Event)
}

// An Operator does to nodes what the one of a cluster asks for. Any goroutine may call its
// methods; each returns when what it asks for is done. What a node's state does not allow is
// refused with a [raft.Error] and changes nothing.
type Operator[N Reachable] struct {
	change func(func(raft.Links) raft.Links)

	mu    sync.Mutex
	nodes map[raft.NodeID]N // those who ever were; it only grows
}

// NewOperator returns one of no nodes yet. Change changes the links between them, for all messages
// sent from then on.
func NewOperator[N Reachable](change func(func(raft.Links) raft.Links)) *Operator[N] {
	return &Operator[N]{change: change, nodes: map[raft.NodeID]N{}}
}

// Load has nodes, each of which is made and begins with what it saved. After an error, which is a
// storage's, none of them has a file open.
func (o *Operator[N]) Load(ids []raft.NodeID, newNode func(raft.NodeID) N) (err error) {
	for _, id := range ids {
		o.nodes[id] = newNode(id)
	}
	for _, id := range ids {
		if err = o.nodes[id].Base().Load(); err != nil {
			break
		}
	}
	if err != nil {
		for _, id := range ids {
			err = errors.Join(err, o.nodes[id].Base().Storage.Close())
		}
	}
	return err
}

// Provide has a node that joins, which is made if there was none of that name.
func (o *Operator[N]) Provide(id raft.NodeID, newNode func(raft.NodeID) N) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.nodes[id]; !known {
		o.nodes[id] = newNode(id)
	}
}

// Node is one of the nodes.
func (o *Operator[N]) Node(id raft.NodeID) N {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.nodes[id]
}

// Nodes are all of them.
func (o *Operator[N]) Nodes() []N {
	o.mu.Lock()
	defer o.mu.Unlock()
	nodes := make([]N, 0, len(o.nodes))
	for _, n := range o.nodes {
		nodes = append(nodes, n)
	}
	return nodes
}

// call runs f where a node belongs.
func (o *Operator[N]) call(id raft.NodeID, f func(*Node)) {
	n := o.Node(id)
	n.Call(func() { f(n.Base()) })
}

// callIf is call where the node is in one of the states, and an error of code where not.
func (o *Operator[N]) callIf(
	id raft.NodeID, code raft.Code, f func(*Node) error, states ...Lifecycle,
) (err error) {
	o.call(id, func(n *Node) {
		if slices.Contains(states, n.State()) {
			err = f(n)
		} else {
			err = raft.Errorf(code, "node %d is %s", n.ID, n.State())
		}
	})
	return err
}

// Submit proposes a command to a node. The outcome comes when the command was applied on
// that node, or it is known that this will not be known there; from a node that is paused
// in between not before it goes on, and from a cluster that is stopped perhaps never.
func (o *Operator[N]) Submit(id raft.NodeID, command *raft.Command) <-chan raft.Outcome {
	done := make(chan raft.Outcome, 1)
	o.Node(id).Ask(Event{Proposal: raft.Proposal{Command: command, Done: raft.Into(done)}})
	return done
}

// Propose is Submit for who has no channel: what the proposal has hears the outcome.
func (o *Operator[N]) Propose(id raft.NodeID, proposal raft.Proposal) {
	o.Node(id).Ask(Event{Proposal: proposal})
}

// Read asks a node for a key's value, without a log entry. The outcome comes as Submit's does.
func (o *Operator[N]) Read(id raft.NodeID, key string) <-chan raft.Outcome {
	done := make(chan raft.Outcome, 1)
	o.Node(id).Ask(Event{Query: &raft.Query{Key: key, Done: raft.Into(done)}})
	return done
}

// Applied tells when a running node, whoever leads, has applied the entry at index. The outcome
// comes as a read's does.
func (o *Operator[N]) Applied(id raft.NodeID, index int) (<-chan raft.Outcome, error) {
	done := make(chan raft.Outcome, 1)
	return done, o.callIf(id, raft.Unavailable, func(n *Node) error {
		n.Server.AwaitApplied(index, raft.Into(done))
		n.carryOut()
		return nil
	}, Running)
}

// Lifecycle is a node's.
func (o *Operator[N]) Lifecycle(id raft.NodeID) Lifecycle { return o.Node(id).Base().State() }

// Counters are what a node has sent and saved since the cluster was started.
func (o *Operator[N]) Counters(id raft.NodeID) (counters raft.Counters) {
	o.call(id, func(n *Node) { counters = n.Counters() })
	return counters
}

// Status is a node's status; a paused one's is what it was when it was paused.
func (o *Operator[N]) Status(id raft.NodeID) (status Status) {
	o.call(id, func(n *Node) { status = n.status() })
	return status
}

// Replica is a node's status with all that it holds, of which a crashed node has nothing.
func (o *Operator[N]) Replica(id raft.NodeID) (replica Replica) {
	o.call(id, func(n *Node) {
		replica.Status = n.status()
		if replica.Lifecycle != Crashed {
			replica.Log, replica.Machine = n.Server.Replica()
		}
	})
	return replica
}

// Log is a running node's log from first to last, both inclusive, cut to what is kept.
func (o *Operator[N]) Log(id raft.NodeID, first, last int) (log raft.LogSlice, err error) {
	err = o.callIf(id, raft.Unavailable, func(n *Node) error {
		log = n.Server.Log(first, last)
		return nil
	}, Running)
	return log, err
}

// Crash makes a node lose all that it had not saved; the time (CLOCK_MONOTONIC, ns) is that
// when it ceased.
func (o *Operator[N]) Crash(id raft.NodeID) (atNs int64, err error) {
	err = o.callIf(id, raft.BadRequest, func(n *Node) error {
		n.Cease("the node crashed")
		atNs = Monotonic()
		return nil
	}, Running, Paused)
	return atNs, err
}

// Leave ends the life of a server that is no member any more, if it lives.
func (o *Operator[N]) Leave(id raft.NodeID) {
	o.call(id, func(n *Node) {
		if n.State() != Crashed {
			n.Cease("the node was removed")
		}
	})
}

// Restart starts a crashed node from its storage. After a storage's error it is still
// crashed.
func (o *Operator[N]) Restart(id raft.NodeID) error { return o.Revive(id, false) }

// Revive does as Restart, for a server that joins if it is no member (see [raft.Node.Join]).
func (o *Operator[N]) Revive(id raft.NodeID, joins bool) error {
	return o.callIf(id, raft.BadRequest, func(n *Node) error {
		if err := n.Load(); err != nil {
			return raft.Errorf(raft.Unavailable, "%v", err)
		}
		if joins {
			n.Server.Join()
		}
		n.Begin()
		return nil
	}, Crashed)
}

// Pause hangs a running node: it keeps its state, and does nothing.
func (o *Operator[N]) Pause(id raft.NodeID) error {
	return o.callIf(id, raft.BadRequest, func(n *Node) error { n.become(Paused); return nil }, Running)
}

// Resume lets a paused node go on with what has waited.
func (o *Operator[N]) Resume(id raft.NodeID) error {
	return o.callIf(id, raft.BadRequest, func(n *Node) error { n.resume(); return nil }, Paused)
}

// Heartbeat lets a leader speak to all its followers now.
func (o *Operator[N]) Heartbeat(id raft.NodeID) error {
	return o.callIf(id, raft.Unavailable, func(n *Node) error {
		if view := n.Server.View(); view.Role != raft.Leader {
			return raft.NotTheLeader(view.Leader)
		}
		n.Server.Heartbeat()
		n.carryOut()
		return nil
	}, Running)
}

// Transfer lets a leader hand over to another node; false if it does not lead, or that may
// not.
func (o *Operator[N]) Transfer(id, to raft.NodeID) (begun bool, err error) {
	err = o.callIf(id, raft.Unavailable, func(n *Node) error {
		begun = n.Server.Transfer(to)
		n.carryOut()
		return nil
	}, Running)
	return begun, err
}

// Compact lets a running node replace its log by a snapshot, as far as that is applied, and
// returns the snapshot.
func (o *Operator[N]) Compact(id raft.NodeID) (snapshot *raft.Snapshot, err error) {
	err = o.callIf(id, raft.Unavailable, func(n *Node) error {
		snapshot = n.Server.Compact()
		n.carryOut()
		if state := n.State(); state != Running {
			return n.unavailable(state.String())
		}
		return nil
	}, Running)
	return snapshot, err
}

// Partition lets only nodes of the same group reach each other; nil heals.
func (o *Operator[N]) Partition(groups [][]raft.NodeID) {
	o.change(func(links raft.Links) raft.Links { return links.Partitioned(groups) })
}

// Block cuts these links, each in one direction, and no others.
func (o *Operator[N]) Block(ways []raft.Way) {
	o.change(func(links raft.Links) raft.Links { return links.Blocked(ways) })
}

// Cut cuts these links besides what is cut already, until they are mended.
func (o *Operator[N]) Cut(ways []raft.Way) (mend func()) {
	o.change(func(links raft.Links) raft.Links { return links.Cut(ways) })
	return func() {
		o.change(func(links raft.Links) raft.Links { return links.Mended(ways) })
	}
}

// Degrade gives every link these faults.
func (o *Operator[N]) Degrade(faults raft.Faults) {
	o.change(func(links raft.Links) raft.Links { return links.Degraded(faults) })
}
