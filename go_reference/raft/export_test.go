package raft

// A FollowerState is what a leader knows of another node: for the scripts, which show it.
type FollowerState struct {
	ID                    NodeID
	MatchIndex, NextIndex int
	Probing               bool
	Snapshot              *Snapshot
	Offset                int
	InFlight              int
}

// FollowerStates are a leader's followers, in the order of its messages to them.
func (n *Node) FollowerStates() []FollowerState {
	var states []FollowerState
	for _, p := range n.followers {
		states = append(states, FollowerState{
			p.id, p.matchIndex, p.nextIndex, p.probing, p.snapshot, p.offset, len(p.inFlight),
		})
	}
	return states
}
