package host

import (
	"context"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

// A Model is a concurrency model, or somebody's Raft: the contender's name, and how it starts a
// cluster, or one node of a deployed cluster.
type Model struct {
	Name    string
	Start   func(lives.Config, []raft.NodeID, lives.Events) (Cluster, error)
	Deploy  func(lives.Config, Place, lives.Events) (Deployed, error)
	Offers  []string // what its node programs do; nil for all that there is
	Library string   // whose Raft it is, with the version; empty for the project's own
}

// A Place is where a node of a deployed cluster is, and whom it lets in.
type Place struct {
	Cluster string // the same for all nodes
	Node    raft.NodeID
	Address string // to listen on: "127.0.0.1:0", for instance
	Secret  []byte // which all nodes have, or nobody; nil for none
	// Refused hears why a connection was refused or thrown away; the peer is 0 if that is not
	// known. It must not block.
	Refused func(peer raft.NodeID, reason string)
}

// Deployed is a cluster of which one node is here, crashed to begin with. Stop ends its network
// too.
type Deployed interface {
	Cluster
	// Propose gives a client's command to a node.
	Propose(raft.NodeID, raft.Proposal)
	// Address is where the node listens.
	Address() string
	// SetPeers says where the peers are, in place of what was said before.
	SetPeers(map[raft.NodeID]string)
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
