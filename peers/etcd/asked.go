package main

import (
	"errors"
	"math"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"raftmark/lives"
	core "raftmark/raft"
)

var (
	errDown       = core.Errorf(core.Unavailable, "the node is crashed")
	errOverloaded = core.Errorf(core.Unavailable, "the node is overloaded")
)

// put lets an event wait for the goroutine, or refuses it.
func (b *life) put(e event) {
	select {
	case b.inbox <- e:
	default:
		e.refuse(errOverloaded)
		return
	}
	select {
	case <-b.gone:
		b.refuseWaiting()
	default:
	}
}

// Propose implements adapter.Life.
func (b *life) Propose(proposal core.Proposal) {
	b.put(event{proposal: proposal})
}

// Offer implements adapter.Life: the inbox has room for it however many they are.
func (b *life) Offer(commands []*core.Command, done func(core.Outcome)) {
	offer := func() {
		for _, command := range commands {
			b.proposals = append(b.proposals, core.Proposal{Command: command, Done: done})
		}
	}
	select {
	case b.inbox <- event{call: offer}:
	case <-b.gone:
		done(core.Outcome{Err: errDown})
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
	b.put(event{query: &core.Query{Key: key, Done: core.Into(done)}})
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
			SnapshotIndex: b.store.snapshotIndex(),
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

// Log implements adapter.Life. The log is read beside the goroutine, as a long one takes its time.
func (b *life) Log(first, last int) (slice core.LogSlice, err error) {
	for {
		if !b.call(func() {
			slice.LastIndex, slice.CommitIndex = b.store.lastIndex(), int(b.node.BasicStatus().Commit)
			slice.First = max(first, b.store.firstIndex())
		}) {
			return slice, errDown
		}
		end := min(last, slice.LastIndex) + 1
		if end <= slice.First {
			return slice, nil
		}
		found, err := b.store.Entries(uint64(slice.First), uint64(end), math.MaxUint64)
		switch {
		case errors.Is(err, raft.ErrCompacted), errors.Is(err, raft.ErrUnavailable):
			continue // The log has just become shorter.
		case err != nil:
			return slice, err
		}
		for _, entry := range found {
			slice.Entries = append(slice.Entries, entryOf(entry, len(b.library.Settings.Nodes)))
		}
		return slice, nil
	}
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
		begun = votes && b.view.Role == core.Leader && to != b.library.Node
		if begun {
			b.node.TransferLeader(uint64(to))
		}
	})
	return begun
}

// Compact implements adapter.Life.
func (b *life) Compact() (made *core.Snapshot, err error) {
	err = errDown
	b.call(func() {
		if err = b.compact(b.machine.AppliedIndex()); err != nil {
			return
		}
		var snapshot raftpb.Snapshot
		snapshot, err = b.store.Snapshot()
		made = &core.Snapshot{
			LastIndex: int(snapshot.Metadata.Index), LastTerm: snapshot.Metadata.Term,
		}
	})
	return made, err
}

// Ceased implements adapter.Life.
func (b *life) Ceased() bool {
	select {
	case <-b.gone:
		return true
	default:
		return false
	}
}

// End implements adapter.Life.
func (b *life) End() (atNs int64) {
	b.library.living.CompareAndSwap(b, nil)
	b.ending.Store(true)
	b.library.Open()
	b.wake()
	<-b.gone
	atNs = lives.Monotonic()
	if err := b.store.close(); err != nil {
		b.library.Events.Failed(b.library.Node, err)
	}
	return atNs
}

// wake lets the goroutine have a turn, if none is due.
func (b *life) wake() {
	select {
	case b.inbox <- event{call: func() {}}:
	default:
	}
}
