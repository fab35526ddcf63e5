// Package proving puts a library's nodes to what any node has to do, each in a program of its own or,
// as here, all in one: they speak over loopback either way.
package proving

import (
	"slices"
	"sync"
	"testing"
	"time"

	"raftmark/host"
	"raftmark/lives"
	"raftmark/raft"
)

// patience is how long anything may take: no machine is so slow.
const patience = 2 * time.Minute

// A Deploy makes one node, as [host.Model] has it.
type Deploy func(lives.Config, host.Place, lives.Events) (host.Deployed, error)

// A cluster is three nodes, and what they have told.
type cluster struct {
	t     *testing.T
	nodes map[raft.NodeID]host.Deployed

	mu      sync.Mutex
	roles   map[raft.NodeID]lives.RoleChange
	changed chan struct{} // closed at the next role change
}

var three = []raft.NodeID{1, 2, 3}

// start starts three nodes, which end with the test. Without a directory they are in memory.
func start(t *testing.T, deploy Deploy, directory string, snapshotEntries int) *cluster {
	t.Helper()
	c := &cluster{
		t: t, nodes: map[raft.NodeID]host.Deployed{}, roles: map[raft.NodeID]lives.RoleChange{},
		changed: make(chan struct{}),
	}
	addresses := map[raft.NodeID]string{}
	for _, id := range three {
		node, err := deploy(
			lives.Config{
				Settings: raft.Settings{
					Nodes:           three,
					ElectionTimeout: raft.Range{Low: 150 * time.Millisecond, High: 300 * time.Millisecond},
					Heartbeat:       30 * time.Millisecond,
					SnapshotEntries: snapshotEntries,
				},
				DataDir: directory,
				Seed:    7,
			},
			host.Place{Cluster: t.Name(), Node: id, Address: "127.0.0.1:0"},
			lives.Events{
				RoleChanged:      c.note,
				MembersCommitted: func(raft.Membership) {},
				Failed:           func(id raft.NodeID, err error) { t.Errorf("node %d: %v", id, err) },
				Repaired:         func(id raft.NodeID, what string) { t.Errorf("node %d: %s", id, what) },
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Stop)
		c.nodes[id], addresses[id] = node, node.Address()
	}
	for id, node := range c.nodes {
		node.SetPeers(addresses)
		if err := node.Join(id, false); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *cluster) note(change lives.RoleChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roles[change.Node] = change
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until a condition holds of what the nodes have told.
func (c *cluster) await(what string, condition func() bool) {
	c.t.Helper()
	for deadline := time.After(patience); ; {
		c.mu.Lock()
		met, changed := condition(), c.changed
		c.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("no %s: %v", what, c.roles)
		}
	}
}

// leader waits until these follow one leader among them, in a term above another.
func (c *cluster) leader(above uint64, among ...raft.NodeID) (leader lives.RoleChange) {
	c.t.Helper()
	c.await("leader", func() bool {
		first := c.roles[among[0]]
		leader = c.roles[first.Leader]
		return first.Term > above && leader.Role == raft.Leader && slices.Contains(among, leader.Node) &&
			!slices.ContainsFunc(among, func(id raft.NodeID) bool {
				return c.roles[id].Leader != leader.Node || c.roles[id].Term != first.Term
			})
	})
	return leader
}

// outcome waits for one.
func (c *cluster) outcome(outcomes <-chan raft.Outcome) raft.Outcome {
	c.t.Helper()
	select {
	case outcome := <-outcomes:
		return outcome
	case <-time.After(patience):
		c.t.Fatal("no outcome")
		panic("unreachable")
	}
}

// again repeats an attempt until it succeeds: leaders may change at any time. Between two, it waits
// for a change of role, or a moment.
func (c *cluster) again(what string, attempt func() (done bool)) {
	c.t.Helper()
	for deadline := time.After(patience); ; {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if attempt() {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			c.t.Fatalf("no %s: %v", what, c.roles)
		}
	}
}

// commit lets whoever leads these nodes commit a session's commands, and returns the last's index.
func (c *cluster) commit(nodes []raft.NodeID, session string, serials ...uint64) (last int) {
	c.t.Helper()
	for _, serial := range serials {
		value := session
		c.again("commit", func() bool {
			leader := c.leader(0, nodes...).Node
			outcome := c.outcome(c.nodes[leader].Submit(leader, &raft.Command{
				Op: raft.Set, Key: "key", Value: &value, Client: &session, Serial: serial,
			}))
			last = outcome.Index
			return outcome.Err == nil
		})
	}
	return last
}

// agree waits until nodes have applied an index, and checks that they hold the same up to it.
func (c *cluster) agree(index int, nodes ...raft.NodeID) {
	c.t.Helper()
	states, logs := map[string]bool{}, map[string]bool{}
	for _, id := range nodes {
		applied, err := c.nodes[id].Applied(id, index)
		if err != nil {
			c.t.Fatal(err)
		}
		if outcome := c.outcome(applied); outcome.Err != nil {
			c.t.Fatalf("node %d: %v", id, outcome.Err)
		}
		states[c.nodes[id].Replica(id).Machine.StateHash()] = true
		log, err := c.nodes[id].Log(id, 1, index)
		if err != nil {
			c.t.Fatal(err)
		}
		if log.First == 1 {
			logs[raft.LogHash(slices.Values(log.Entries))] = true
		}
	}
	if len(states) != 1 || len(logs) > 1 {
		c.t.Errorf("%d states and %d logs of nodes %v at %d", len(states), len(logs), nodes, index)
	}
}

func others(id raft.NodeID) []raft.NodeID {
	return slices.DeleteFunc(slices.Clone(three), func(other raft.NodeID) bool { return other == id })
}
