package main

import (
	"slices"
	"strconv"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	core "raftmark/raft"
)

// What the library calls the changes of members. It appends no entry of the kind while another one is
// not applied, but an empty one in its place.
var changes = map[raftpb.ConfChangeType]core.Op{
	raftpb.ConfChangeAddLearnerNode: core.AddServer,
	raftpb.ConfChangeAddNode:        core.PromoteServer,
	raftpb.ConfChangeRemoveNode:     core.RemoveServer,
}

// entryFor is the entry that a command is proposed as: an empty one, which has no result, for a change
// of members that makes no sense now.
func (b *life) entryFor(command *core.Command, index int) raftpb.Entry {
	var change raftpb.ConfChange
	switch command.Op {
	default:
		return raftpb.Entry{Data: core.AppendCommand(nil, command)}
	case core.AddServer:
		change.Type = raftpb.ConfChangeAddLearnerNode
	case core.RemoveServer:
		change.Type = raftpb.ConfChangeRemoveNode
	}
	id, err := strconv.ParseUint(command.Key, 10, 64)
	change.NodeID = id
	member := slices.Contains(b.conf.Voters, id) || slices.Contains(b.conf.Learners, id)
	if err != nil || !b.mayChange() || member == (command.Op == core.AddServer) {
		return raftpb.Entry{}
	}
	return b.changing(change, index)
}

// changing is a change's entry at an index, until which there is to be no other.
func (b *life) changing(change raftpb.ConfChange, index int) raftpb.Entry {
	b.lastChange = index
	data, err := change.Marshal()
	if err != nil {
		panic(err) // It is made of numbers.
	}
	return raftpb.Entry{Type: raftpb.EntryConfChange, Data: data}
}

// mayChange reports whether the leader has applied all changes before, those of other leaders too.
func (b *life) mayChange() bool {
	return b.view.Role == core.Leader && b.appliedTerm == b.view.Term &&
		b.lastChange <= b.machine.AppliedIndex()
}

// promote makes a voter of a learner that keeps up.
func (b *life) promote() {
	if len(b.conf.Learners) == 0 || !b.mayChange() {
		return
	}
	commit, ready := b.node.BasicStatus().Commit, uint64(raft.None)
	b.node.WithProgress(func(id uint64, kind raft.ProgressType, progress tracker.Progress) {
		if kind == raft.ProgressTypeLearner && progress.Match >= commit {
			ready = id
		}
	})
	if ready == raft.None {
		return
	}
	entry := b.changing(
		raftpb.ConfChange{Type: raftpb.ConfChangeAddNode, NodeID: ready}, b.store.lastIndex()+1)
	// Where the leader hands over, it is refused, and tried again.
	if b.step(entry) != nil {
		b.lastChange = 0
	}
}

// step proposes entries.
func (b *life) step(entries ...raftpb.Entry) error {
	return b.node.Step(raftpb.Message{
		Type: raftpb.MsgProp, From: uint64(b.library.Node), Entries: entries,
	})
}

func changeOf(entry raftpb.Entry) (change raftpb.ConfChange) {
	if err := change.Unmarshal(entry.Data); err != nil {
		panic(err) // No other than this program writes this log.
	}
	return change
}

// tellMembers tells who the members are, once a leader knows of all that was committed before it.
func (b *life) tellMembers() {
	members := nodesOf(slices.Concat(b.conf.Voters, b.conf.Learners))
	if b.view.Role != core.Leader || b.appliedTerm != b.view.Term || slices.Equal(members, b.members) {
		return
	}
	b.members = members
	b.library.Events.MembersCommitted(core.Membership{
		AsOf: b.machine.AppliedIndex(), Members: members,
	})
}
