// Package adapter lets somebody's Raft library be a node program of docs/protocol.md: what its
// lives, its clients and its command line have in common is here, and whatever a library does
// itself is behind [Library] and [Life].
package adapter

import (
	"raftmark/host"
	"raftmark/lives"
	"raftmark/raft"
)

// A Library is one node through all its lives: its storage, in memory too, and where it listens.
type Library interface {
	// Begin begins a life on what is stored. A server that joins is no member, and is to be made
	// one.
	Begin(joins bool) (Life, error)
	Address() string
	SetPeers(map[raft.NodeID]string)
	// Close lets go of everything; there is no life any more.
	Close() error
}

// A Life is a node from a start to a crash. Any goroutine may call its methods.
type Life interface {
	// Do proposes a command and waits for its outcome, however long that takes; of one that is
	// under way when the life ends perhaps for ever.
	Do(*raft.Command) raft.Outcome
	// Propose proposes a command and does not wait for its outcome. One caller's commands keep
	// their order.
	Propose(raft.Proposal)
	// Offer proposes many at once, and waits until there is room for them.
	Offer([]*raft.Command, func(raft.Outcome))
	// Read is a key's value, with what a library offers so that it is the latest.
	Read(key string) raft.Outcome
	// Applied waits until an entry is applied; false where the life ends before.
	Applied(index int) bool
	// Status is all but the hashes.
	Status() raft.Status
	// Machine is a copy of the state machine.
	Machine() *raft.StateMachine
	// Log is the log from first to last, both inclusive, cut to what is kept.
	Log(first, last int) (raft.LogSlice, error)
	// Heartbeat lets a leader speak to all its followers now.
	Heartbeat() error
	// Transfer lets a leader hand over; false if it does not lead, or that may not.
	Transfer(to raft.NodeID) bool
	// Compact lets a snapshot take the place of the log as far as it is applied.
	Compact() (*raft.Snapshot, error)
	// Ceased reports whether it has ended by a fault of its own, of which the events told.
	Ceased() bool
	// End ends it as a crash does, hanging or not, and returns when nothing of it is left; the time
	// (CLOCK_MONOTONIC, ns) is that from which on nothing more was heard of it.
	End() (atNs int64)
}

// Surroundings are what a library is given: its settings, whom it tells, where it counts, and what may
// be wrong with its links and with itself.
type Surroundings struct {
	lives.Config
	host.Place
	Events  lives.Events
	Counted *Counters
	*Links
	*Gate
}

// Deploy makes a library's nodes those of a deployed cluster.
func Deploy(
	build func(*Surroundings) (Library, error),
) func(lives.Config, host.Place, lives.Events) (host.Deployed, error) {
	return func(config lives.Config, place host.Place, events lives.Events) (host.Deployed, error) {
		s := &Surroundings{config, place, events, &Counters{}, NewLinks(config, place.Node), NewGate()}
		library, err := build(s)
		if err != nil {
			return nil, err
		}
		return &Node{Surroundings: s, Library: library}, nil
	}
}
