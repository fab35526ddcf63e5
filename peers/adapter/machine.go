package adapter

import (
	"sync"

	"raftmark/raft"
)

// A Machine is the state machine as a library applies to it: from a goroutine of its own, and only
// what clients have proposed. What else the library has in its log is for the machine as a no-op.
type Machine struct {
	mu      sync.Mutex
	changed sync.Cond
	machine *raft.StateMachine
	ended   bool
}

// NewMachine returns an empty one.
func NewMachine() *Machine {
	m := &Machine{machine: raft.NewStateMachine()}
	m.changed.L = &m.mu
	return m
}

// Applied is what became of a command.
type Applied struct {
	Term   uint64
	Result raft.Result
	Err    error
}

// Apply applies the entry at an index, all before which was applied or is not for the machine.
func (m *Machine) Apply(index int, entry raft.Entry) Applied {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skip(index - 1)
	result, err := m.machine.Apply(entry)
	m.changed.Broadcast()
	return Applied{entry.Term, result, err}
}

var noop = &raft.Command{Op: raft.Noop}

// Skip notes that what is up to an index was applied or is not for the machine.
func (m *Machine) Skip(index int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skip(index)
	m.changed.Broadcast()
}

func (m *Machine) skip(index int) {
	for m.machine.AppliedIndex() < index {
		// A no-op has no result.
		_, _ = m.machine.Apply(raft.Entry{Command: noop})
	}
}

// Index is that of the last entry applied.
func (m *Machine) Index() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.machine.AppliedIndex()
}

// Await waits until an index is applied; false where the machine ends before.
func (m *Machine) Await(index int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.machine.AppliedIndex() < index && !m.ended {
		m.changed.Wait()
	}
	return m.machine.AppliedIndex() >= index
}

// End lets nobody wait any more.
func (m *Machine) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.changed.Broadcast()
}

// Get is a key's value.
func (m *Machine) Get(key string) raft.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	return raft.Outcome{Index: m.machine.AppliedIndex(), Result: m.machine.Get(key)}
}

// Clone is a copy.
func (m *Machine) Clone() *raft.StateMachine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.machine.Clone()
}

// Snapshot is the state.
func (m *Machine) Snapshot() *raft.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &raft.Snapshot{LastIndex: m.machine.AppliedIndex(), Items: m.machine.Items()}
}

// Restore makes the state what a snapshot says.
func (m *Machine) Restore(snapshot *raft.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.machine.Restore(snapshot)
	m.changed.Broadcast()
}
