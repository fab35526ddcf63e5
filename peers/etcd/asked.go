package main

import (
	"errors"

	"go.etcd.io/raft/v3"

	core "raftmark/raft"
)

var errDown = core.Errorf(core.Unavailable, "the node is crashed")

// put lets an event wait for the goroutine, or refuses it.
func (b *life) put(e event) error {
	select {
	case b.inbox <- e:
		return nil
	case <-b.gone:
		return errDown
	default:
		return core.Errorf(core.Unavailable, "node %d is overloaded", b.library.id)
	}
}

// Propose implements adapter.Life.
func (b *life) Propose(proposal core.Proposal) {
	if err := b.put(event{proposal: proposal}); err != nil {
		proposal.Done(core.Outcome{Err: err})
	}
}

// Do implements adapter.Life.
func (b *life) Do(command *core.Command) core.Outcome {
	done := make(chan core.Outcome, 1)
	b.Propose(core.Proposal{Command: command, Done: core.Into(done)})
	return <-done
}

// Read implements adapter.Life.
func (b *life) Read(key string) core.Outcome {
	done := make(chan core.Outcome, 1)
	query := core.Query{Key: key, Done: core.Into(done)}
	if err := b.put(event{query: query}); err != nil {
		return core.Outcome{Err: err}
	}
	return <-done
}

// call runs a function in the goroutine, between two turns; false if that has ended.
func (b *life) call(f func()) bool {
	done := make(chan struct{})
	select {
	case b.inbox <- event{call: func() { f(); close(done) }}:
	case <-b.gone:
		return false
	}
	select {
	case <-done:
		return true
	case <-b.gone:
		return false
	}
}

// Applied implements adapter.Life.
func (b *life) Applied(index int) bool {
	done := make(chan core.Outcome, 1)
	b.call(func() {
		b.readers.Await(index, core.Query{Done: core.Into(done)})
		b.readers.Resolve(nil, b.machine, b.view.Leader)
	})
	select {
	case outcome := <-done:
		return outcome.Err == nil
	case <-b.gone:
		return false
	}
}

// Status implements adapter.Life.
func (b *life) Status() (status core.Status) {
	b.call(func() {
		basic := b.node.BasicStatus()
		status = core.Status{
			View:          b.view,
			VotedFor:      core.NodeID(basic.Vote),
			FirstIndex:    b.store.firstIndex(),
			LastIndex:     b.store.lastIndex(),
			CommitIndex:   int(basic.Commit),
			AppliedIndex:  b.machine.AppliedIndex(),
			SnapshotIndex: b.store.firstIndex() - 1,
			Configuration: &core.Configuration{
				Voters: nodesOf(b.conf.Voters), Learners: nodesOf(b.conf.Learners),
			},
		}
	})
	return status
}

func nodesOf(ids []uint64) []core.NodeID {
	nodes := []core.NodeID{}
	for _, id := range ids {
		nodes = append(nodes, core.NodeID(id))
	}
	return nodes
}

// Machine implements adapter.Life.
func (b *life) Machine() (machine *core.StateMachine) {
	machine = core.NewStateMachine()
	b.call(func() { machine = b.machine.Clone() })
	return machine
}

// Log implements adapter.Life.
func (b *life) Log(first, last int) (core.LogSlice, error) {
	slice := core.LogSlice{}
	var err error
	b.call(func() {
		slice.LastIndex, slice.CommitIndex = b.store.lastIndex(), int(b.node.BasicStatus().Commit)
		slice.First = max(first, b.store.firstIndex())
		if last = min(last, slice.LastIndex); slice.First > last {
			return
		}
		found, failure := b.store.Entries(uint64(slice.First), uint64(last)+1, everything)
		err = failure
		for _, entry := range found {
			slice.Entries = append(slice.Entries, entryOf(entry))
		}
	})
	return slice, err
}

// Heartbeat implements adapter.Life.
func (b *life) Heartbeat() (err error) {
	err = errDown
	b.call(func() {
		err = nil
		if b.view.Role != core.Leader {
			err = core.NotTheLeader(b.view.Leader)
			return
		}
		b.askIndex()
		b.carryOut()
	})
	return err
}

// Transfer implements adapter.Life.
func (b *life) Transfer(to core.NodeID) (begun bool) {
	b.call(func() {
		votes := false
		for _, id := range b.conf.Voters {
			votes = votes || id == uint64(to)
		}
		begun = votes && b.view.Role == core.Leader && to != b.library.id
		if begun {
			b.node.TransferLeader(uint64(to))
		}
	})
	return begun
}

// Compact implements adapter.Life. It is not offered.
func (b *life) Compact() (*core.Snapshot, error) {
	return nil, core.Errorf(core.Unavailable, "this program takes no snapshots")
}

// End implements adapter.Life.
func (b *life) End() {
	b.library.living.CompareAndSwap(b, nil)
	b.call(func() { b.ending = true })
	<-b.gone
	b.abandon()
	if err := errors.Join(b.failed, b.store.close()); err != nil {
		b.library.events.Failed(b.library.id, err)
	}
}

var _ raft.Storage = (*store)(nil)
