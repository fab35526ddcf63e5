package raft

import (
	"maps"
	"slices"
)

// MembersOf are the nodes to start so that a cluster of which nobody runs can go on, in
// ascending order: who belongs to it, as its nodes' saved logs tell (thesis §4).
//
// The latest configuration of the most up-to-date log is in force there, whether or not it is
// committed. Where no majority of it has the change that made it, that may be taken back, and
// those of the configuration before are needed as well: changes are made one at a time, so there
// are no others.
func MembersOf(saved map[NodeID]Saved, firstVoters []NodeID) []NodeID {
	logs := map[NodeID]*ReplicatedLog{}
	var best *ReplicatedLog
	for id, each := range saved {
		logs[id] = each.log(firstVoters)
		if best == nil || best.IsUpToDate(logs[id].LastIndex(), logs[id].LastTerm()) {
			best = logs[id]
		}
	}
	if best == nil {
		return firstVoters
	}
	index, configuration := best.configurationIndex(), best.Configuration()
	held := 0
	for _, voter := range configuration.Voters {
		if log := logs[voter]; log != nil && log.Matches(index, best.TermAt(index)) {
			held++
		}
	}
	members := map[NodeID]bool{}
	add := func(configuration *Configuration) {
		for _, id := range configuration.Members() {
			members[id] = true
		}
	}
	add(configuration)
	if held <= len(configuration.Voters)/2 && index >= best.FirstIndex() {
		add(best.configurationAt(index - 1))
	}
	return slices.Sorted(maps.Keys(members))
}

// log is the one that a node would begin its next life with.
func (s *Saved) log(firstVoters []NodeID) *ReplicatedLog {
	if s.Snapshot != nil {
		return NewReplicatedLog(*s.Snapshot, s.Entries)
	}
	if s.FirstVoters != nil {
		firstVoters = s.FirstVoters
	}
	return NewReplicatedLog(Snapshot{Configuration: Configuration{Voters: firstVoters}}, s.Entries)
}
