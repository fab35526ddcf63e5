package main

import (
	"errors"

	"github.com/hashicorp/raft"

	core "raftmark/raft"
)

// Status implements adapter.Life.
func (b *life) Status() core.Status {
	first, snapshot := b.first()
	status := core.Status{
		View:          b.view.now(),
		FirstIndex:    first,
		LastIndex:     int(b.raft.LastIndex()),
		CommitIndex:   int(b.raft.CommitIndex()),
		AppliedIndex:  b.applied(),
		SnapshotIndex: snapshot,
		Configuration: b.members(),
	}
	if term, err := b.stable.GetUint64(lastVoteTerm); err == nil && term == status.Term {
		if name, err := b.stable.Get(lastVoteFor); err == nil {
			status.VotedFor = nodeOf(string(name))
		}
	}
	return status
}

// first is the first index of the log, and the last that a snapshot covers.
func (b *life) first() (first, snapshot int) {
	if known, err := b.library.snapshots.List(); err == nil && len(known) > 0 {
		snapshot = int(known[0].Index)
	}
	index, err := b.logs.FirstIndex()
	if err != nil || index == 0 {
		return snapshot + 1, snapshot
	}
	return int(index), snapshot
}

// applied is the last index applied. The library gives its machine the clients' commands alone, and
// tells of an index when its entry is on the way to the machine.
func (b *life) applied() int {
	given := int(b.raft.AppliedIndex())
	for index := b.machine.index() + 1; index <= given; index++ {
		var log raft.Log
		if b.logs.GetLog(uint64(index), &log) == nil && log.Type == raft.LogCommand {
			return index - 1
		}
	}
	b.machine.skipTo(given)
	return given
}

// Applied implements adapter.Life.
func (b *life) Applied(index int) bool { return b.applied() >= index || b.machine.await(index) }

// Machine implements adapter.Life.
func (b *life) Machine() *core.StateMachine { return b.machine.clone() }

func (b *life) members() *core.Configuration {
	configuration := &core.Configuration{Voters: []core.NodeID{}, Learners: []core.NodeID{}}
	for _, server := range b.raft.GetConfiguration().Configuration().Servers {
		if id := nodeOf(string(server.ID)); server.Suffrage == raft.Voter {
			configuration.Voters = append(configuration.Voters, id)
		} else {
			configuration.Learners = append(configuration.Learners, id)
		}
	}
	return configuration
}

// Log implements adapter.Life. What the library has in the log for itself is shown as no-ops. After a
// leader's snapshot it may keep a few entries of long before, and none between: they are not shown.
func (b *life) Log(first, last int) (core.LogSlice, error) {
	committed := int(b.raft.CommitIndex()) // first, as both grow
	slice := core.LogSlice{LastIndex: int(b.raft.LastIndex()), CommitIndex: committed}
	kept, _ := b.first()
	slice.First = max(first, kept)
	for index := slice.First; index <= min(last, slice.LastIndex); index++ {
		var log raft.Log
		if err := b.logs.GetLog(uint64(index), &log); errors.Is(err, raft.ErrLogNotFound) {
			kept, snapshot := b.first()
			if index > snapshot {
				// Another leader's is about to take its place.
				slice.LastIndex = index - 1
				break
			}
			index = max(index, kept-1)
			slice.First, slice.Entries = index+1, nil
			continue
		} else if err != nil {
			return core.LogSlice{}, err
		}
		command := noop
		if log.Type == raft.LogCommand {
			var err error
			if command, err = core.DecodeCommand(log.Data); err != nil {
				return core.LogSlice{}, err
			}
		}
		slice.Entries = append(slice.Entries, core.Entry{Term: log.Term, Command: command})
	}
	return slice, nil
}
