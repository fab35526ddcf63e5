// Package lives is what the nodes of a cluster have in common, whatever runs them: each is a
// server from a start, or restart, to a crash, and then perhaps another one. What an operator may
// do to them is here, and whom they tell.
//
// Which goroutine a node belongs to, what it waits for and how it is reached is for who runs it:
// package cluster has a goroutine for each, package loop one for all.
package lives

import (
	"fmt"
	"path/filepath"
	"time"

	"raftmark/raft"
)

// Room is how much may wait for one node. More messages than that are lost, as Raft lets any
// message be, and more commands refused, so that a node held up stalls nobody.
const Room = 8192

// Config is what a cluster is started with. With a DataDir node i keeps its data in the
// file node-i.log there, without one in memory. All randomness derives from Seed. Where the other
// nodes are programs of their own, Remote reaches them.
type Config struct {
	Settings raft.Settings
	DataDir  string
	Seed     uint64
	Remote   Remote // nil where all nodes are here
}

// A Remote carries messages to nodes that are elsewhere. Its methods must not block.
type Remote interface {
	// Send sends a message that is to take so long.
	Send(message raft.Message, delay time.Duration)
	// Bytes are how many were sent.
	Bytes() int
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

// Events are whom a cluster tells. All are called from where the nodes run, and must neither
// block nor call the cluster.
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
