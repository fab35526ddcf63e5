package main

import (
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"raftmark/peers/adapter"
	core "raftmark/raft"
)

// A machine is the state machine as the library applies to it: from a goroutine of its own, and only
// what clients have proposed. What else the library has in its log is for the machine a no-op.
type machine struct {
	gate *adapter.Gate

	mu      sync.Mutex
	changed sync.Cond
	state   *core.StateMachine
	ended   bool
}

func newMachine(gate *adapter.Gate) *machine {
	m := &machine{gate: gate, state: core.NewStateMachine()}
	m.changed.L = &m.mu
	return m
}

// applied is what became of a command.
type applied struct {
	term   uint64
	result core.Result
	err    error
}

// Apply implements raft.FSM.
func (m *machine) Apply(log *raft.Log) any {
	command, err := core.DecodeCommand(log.Data)
	if err != nil {
		panic(err) // No other than this program writes this log.
	}
	m.gate.Pass()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skip(int(log.Index) - 1)
	result, err := m.state.Apply(core.Entry{Term: log.Term, Command: command})
	m.changed.Broadcast()
	return applied{log.Term, result, err}
}

// A batching machine takes a batch at a time.
type batching struct{ *machine }

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

var noop = &core.Command{Op: core.Noop}

// skip notes that what is up to an index was applied, or is not for the machine. It is locked.
func (m *machine) skip(index int) {
	for m.state.AppliedIndex() < index {
		// A no-op has no result.
		_, _ = m.state.Apply(core.Entry{Command: noop})
	}
}

// skipTo is skip for who has no lock.
func (m *machine) skipTo(index int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skip(index)
	m.changed.Broadcast()
}

// index is that of the last entry applied.
func (m *machine) index() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.AppliedIndex()
}

// await waits until an index is applied; false where the machine ends before.
func (m *machine) await(index int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.state.AppliedIndex() < index && !m.ended {
		m.changed.Wait()
	}
	return m.state.AppliedIndex() >= index
}

// end lets nobody wait any more.
func (m *machine) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.changed.Broadcast()
}

func (m *machine) clone() *core.StateMachine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Clone()
}

// Snapshot implements raft.FSM.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return snapshot{core.Snapshot{LastIndex: m.state.AppliedIndex(), Items: m.state.Items()}}, nil
}

// Restore implements raft.FSM.
func (m *machine) Restore(from io.ReadCloser) error {
	content, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	saved, err := core.DecodeSnapshot(content)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Restore(saved)
	m.changed.Broadcast()
	return nil
}

// A snapshot is the state at some moment.
type snapshot struct{ core.Snapshot }

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(core.AppendSnapshot(nil, &s.Snapshot)); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}
