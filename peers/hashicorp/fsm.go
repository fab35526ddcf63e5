package main

import (
	"io"

	"github.com/hashicorp/raft"

	"raftmark/peers/adapter"
	core "raftmark/raft"
)

// A machine is the state machine as the library applies to it.
type machine struct{ *adapter.Machine }

// Apply implements raft.FSM.
func (m machine) Apply(log *raft.Log) any {
	command, err := core.DecodeCommand(log.Data)
	if err != nil {
		panic(err) // No other than this program writes this log.
	}
	return m.Machine.Apply(int(log.Index), core.Entry{Term: log.Term, Command: command})
}

// Snapshot implements raft.FSM.
func (m machine) Snapshot() (raft.FSMSnapshot, error) { return state{m.Machine.Snapshot()}, nil }

// Restore implements raft.FSM.
func (m machine) Restore(from io.ReadCloser) error {
	content, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	snapshot, err := core.DecodeSnapshot(content)
	if err != nil {
		return err
	}
	m.Machine.Restore(snapshot)
	return nil
}

// A state is what there was to be saved at some moment.
type state struct{ *core.Snapshot }

// Persist implements raft.FSMSnapshot.
func (s state) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(core.AppendSnapshot(nil, s.Snapshot)); err != nil {
		return errAll(func() error { return err }, sink.Cancel)
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s state) Release() {}

// A batching machine takes a batch at a time.
type batching struct{ machine }

// ApplyBatch implements raft.BatchingFSM.
func (b batching) ApplyBatch(logs []*raft.Log) []any {
	results := make([]any, len(logs))
	for i, log := range logs {
		if log.Type == raft.LogCommand {
			results[i] = b.Apply(log)
		}
	}
	return results
}
