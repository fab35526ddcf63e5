package main

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	core "raftmark/raft"
)

// propose proposes what waits for it, if the node leads, and returns what it then waits for.
func (b *life) propose() (proposed []core.Proposal) {
	if len(b.proposals) == 0 {
		return nil
	}
	waiting := b.proposals
	b.proposals = nil
	err := raft.ErrProposalDropped
	if b.node.BasicStatus().RaftState == raft.StateLeader {
		entries := make([]raftpb.Entry, len(waiting))
		for i, proposal := range waiting {
			entries[i] = b.entryFor(proposal.Command, b.store.lastIndex()+1+i)
		}
		err = b.step(entries...)
	}
	if err == nil {
		return waiting
	}
	for _, proposal := range waiting {
		proposal.Done(core.Outcome{Err: core.NotTheLeader(b.leader())})
	}
	return nil
}

// leader is who leads, or is to.
func (b *life) leader() core.NodeID {
	status := b.node.BasicStatus()
	if status.LeadTransferee != raft.None {
		return core.NodeID(status.LeadTransferee)
	}
	return core.NodeID(status.Lead)
}

// read asks for the index that the queries wait for, if the node leads.
func (b *life) read() {
	if len(b.queries) == 0 {
		return
	}
	waiting := b.queries
	b.queries = nil
	if status := b.node.BasicStatus(); status.RaftState != raft.StateLeader {
		for _, query := range waiting {
			query.Done(core.Outcome{Err: core.NotTheLeader(core.NodeID(status.Lead))})
		}
		return
	}
	b.readers.Add(b.askIndex(), waiting)
}

// askIndex lets a leader find out whether it still leads: it speaks to all.
func (b *life) askIndex() (round uint64) {
	b.round++
	b.node.ReadIndex(binary.LittleEndian.AppendUint64(nil, b.round))
	return b.round
}

// apply applies what is committed, and answers those who wait for it.
func (b *life) apply(committed []raftpb.Entry) {
	if len(committed) == 0 {
		return
	}
	entries := make([]core.Entry, len(committed))
	for i, entry := range committed {
		entries[i] = entryOf(entry, len(b.library.Settings.Nodes))
		if entry.Type == raftpb.EntryConfChange {
			b.conf = *b.node.ApplyConfChange(changeOf(entry))
			b.outdated = b.store.snapshotIndex() > 0
		}
	}
	b.waiters.Applied(int(committed[0].Index), entries, b.machine.Apply)
	b.appliedTerm = committed[len(committed)-1].Term
	b.tellMembers()
}

// entryOf is an entry as the protocol has it. What the library has in the log for itself is a no-op, and
// so are the first voters.
func entryOf(entry raftpb.Entry, firstVoters int) core.Entry {
	command := noop
	switch {
	case entry.Type == raftpb.EntryConfChange:
		if change := changeOf(entry); entry.Index > uint64(firstVoters) {
			command = core.MembershipCommand(changes[change.Type], core.NodeID(change.NodeID))
		}
	case len(entry.Data) > 0:
		var err error
		if command, err = core.DecodeCommand(entry.Data); err != nil {
			panic(err) // No other than this program writes this log.
		}
	}
	return core.Entry{Term: entry.Term, Command: command}
}

var noop = &core.Command{Op: core.Noop}
