package main

import (
	"errors"
	"strconv"

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
		SnapshotIndex: snapshot.LastIndex,
		Configuration: b.members(),
	}
	if term, err := b.stable.GetUint64(lastVoteTerm); err == nil && term == status.Term {
		if name, err := b.stable.Get(lastVoteFor); err == nil {
			status.VotedFor = nodeOf(string(name))
		}
	}
	return status
}

// first is the first index of the log, and the snapshot that the log goes on from. The log is looked
// at before, as it is compacted after.
func (b *life) first() (int, core.Snapshot) {
	index, err := b.logs.FirstIndex()
	snapshot := b.snapshot()
	if err != nil || index == 0 {
		return snapshot.LastIndex + 1, snapshot
	}
	return int(index), snapshot
}

// snapshot is the last one that the library goes by. Its store may have a later one already, which it
// was sent and is about to restore.
func (b *life) snapshot() core.Snapshot {
	stats := b.raft.Stats()
	index, errIndex := strconv.Atoi(stats["last_snapshot_index"])
	term, errTerm := strconv.ParseUint(stats["last_snapshot_term"], 10, 64)
	if err := errors.Join(errIndex, errTerm); err != nil {
		panic(err) // It documents these as numbers.
	}
	return core.Snapshot{LastIndex: index, LastTerm: term}
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
			if index > snapshot.LastIndex {
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
