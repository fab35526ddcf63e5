package host

import (
	"context"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

// A Model is a concurrency model: the contender's name, and how it starts a cluster, or one node
// of a deployed cluster.
type Model struct {
	Name   string
	Start  func(lives.Config, []raft.NodeID, lives.Events) (Cluster, error)
	Deploy func(lives.Config, raft.NodeID, lives.Events) Deployed
}

// Deployed is a cluster of which one node is here, and crashed to begin with.
type Deployed interface {
	Cluster
	// Receive takes a message that has come from elsewhere.
	Receive(raft.Message)
	// Propose gives a client's command to a node.
	Propose(raft.NodeID, raft.Proposal)
}

// A Cluster is what a host serves. Any goroutine may call its methods; [lives.Operator] says what
// most of them do.
type Cluster interface {
	// Stop ends every node; no method may be called any more.
	Stop()
	// Join starts a server that does not run, and that joins if it is no member.
	Join(id raft.NodeID, joins bool) error
	// Replicate runs the closed loop beside the leader, and Offered the open one. They fail with
	// the first command that does, or with the context's cause; progress hears the share of the
	// time that has passed.
	Replicate(
		ctx context.Context, leader raft.NodeID, spec workload.Replicate, progress func(float64),
	) (*workload.Replicated, error)
	Offered(
		ctx context.Context, leader raft.NodeID, spec workload.Offered, progress func(float64),
	) (*workload.OfferedResult, error)

	Submit(raft.NodeID, *raft.Command) <-chan raft.Outcome
	Read(id raft.NodeID, key string) <-chan raft.Outcome
	Applied(id raft.NodeID, index int) (<-chan raft.Outcome, error)
	Lifecycle(raft.NodeID) lives.Lifecycle
	Counters(raft.NodeID) raft.Counters
	Status(raft.NodeID) lives.Status
	Replica(raft.NodeID) lives.Replica
	Log(id raft.NodeID, first, last int) (raft.LogSlice, error)
	Crash(raft.NodeID) (atNs int64, err error)
	Leave(raft.NodeID)
	Restart(raft.NodeID) error
	Pause(raft.NodeID) error
	Resume(raft.NodeID) error
	Heartbeat(raft.NodeID) error
	Transfer(id, to raft.NodeID) (begun bool, err error)
	Compact(raft.NodeID) (*raft.Snapshot, error)
	Partition(groups [][]raft.NodeID)
	Block([]raft.Way)
	Cut([]raft.Way) (mend func())
	Degrade(raft.Faults)
}
