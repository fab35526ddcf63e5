package main

import (
	"sync"

	"github.com/hashicorp/raft"

	"raftmark/lives"
	"raftmark/peers/adapter"
	core "raftmark/raft"
)

// A view is what the node thinks of the cluster, put together from what the library tells: its
// state and the leader to observers, its term to the store that saves it.
type view struct {
	id      core.NodeID
	preVote bool
	tell    func(lives.RoleChange)
	gate    *adapter.Gate

	mu      sync.Mutex
	state   raft.RaftState
	present core.View
	told    core.View
	ended   bool
}

// change changes the view, and tells of that. A node that hangs changes nothing.
func (v *view) change(change func()) {
	v.gate.Pass()
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
	if v.ended {
		return
	}
	switch v.state {
	case raft.Leader:
		v.present.Role, v.present.Leader = core.Leader, v.id
	case raft.Follower:
		v.present.Role = core.Follower
	case raft.Candidate:
		// It may have heard of one meanwhile, beside its main goroutine.
		v.present.Leader = 0
	}
	if v.present != v.told {
		v.told = v.present
		v.tell(lives.RoleChange{Node: v.id, View: v.present, AtNs: lives.Monotonic()})
	}
}

// newTerm hears of a term. A candidate begins its candidacy with it, whatever it was before.
func (v *view) newTerm(term uint64) {
	v.change(func() {
		if term != v.present.Term && v.state == raft.Candidate {
			v.present.Role = core.Candidate
		}
		v.present.Term = term
	})
}

// observe hears what the library tells its observers, where that happens.
func (v *view) observe(observation *raft.Observation) bool {
	switch data := observation.Data.(type) {
	case raft.RaftState:
		v.change(func() {
			v.state, v.present.Leader = data, 0
			if data == raft.Candidate && v.preVote {
				v.present.Role = core.PreCandidate
			}
		})
	case raft.LeaderObservation:
		v.change(func() { v.present.Leader = nodeOf(string(data.LeaderID)) })
	}
	return false
}

// end lets nobody hear of anything any more.
func (v *view) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
}

func (v *view) now() core.View {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.present
}
