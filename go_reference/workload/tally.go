package workload

import (
	"sync"
	"time"

	"raftmark/raft"
)

// tallySlice is short enough to show an outage.
const tallySlice = 10 * time.Millisecond

// A Tally counts what clients beside the nodes hear, all together, until it is closed. Any
// goroutine may call its methods.
type Tally struct {
	start time.Time

	mu     sync.Mutex
	closed bool
	heard  Heard
}

// Heard is what a tally has counted.
type Heard struct {
	Length    time.Duration // for which it counted
	Commands  int64         // acknowledged
	Retries   int64
	LastIndex int     // of the entries acknowledged
	Firsts    []First // by term
	Slices    [][2]int64
}

// A First is the first acknowledgement in a term.
type First struct {
	Term  uint64
	Node  raft.NodeID
	After time.Duration // since the start
}

// NewTally begins one.
func NewTally() *Tally { return &Tally{start: time.Now()} }

// Acknowledge notes that a node has just acknowledged a command.
func (t *Tally) Acknowledge(node raft.NodeID, outcome raft.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	now, heard := time.Since(t.start), &t.heard
	t.slicesUntil(now + 1)
	heard.Slices[now/tallySlice][1]++
	heard.Commands++
	heard.LastIndex = max(heard.LastIndex, outcome.Index)
	if known := len(heard.Firsts); known == 0 || outcome.Term > heard.Firsts[known-1].Term {
		heard.Firsts = append(heard.Firsts, First{outcome.Term, node, now})
	}
}

// Retry notes that a command is sent again.
func (t *Tally) Retry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.heard.Retries++
	}
}

// Commands is how many were acknowledged so far.
func (t *Tally) Commands() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard.Commands
}

// Close ends the counting. Slices are the acknowledgements by time, in pieces of 10 ms and
// what remains: the end of each, and how many came in it.
func (t *Tally) Close() Heard {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.heard.Length = time.Since(t.start)
	t.slicesUntil(t.heard.Length)
	last := len(t.heard.Slices) - 1
	if last > 0 && t.heard.Slices[last-1][0] == t.heard.Length.Nanoseconds() {
		// What was heard in the very moment of the end belongs to the piece that ends there.
		t.heard.Slices[last-1][1] += t.heard.Slices[last][1]
		t.heard.Slices = t.heard.Slices[:last]
		last--
	}
	if last >= 0 {
		t.heard.Slices[last][0] = t.heard.Length.Nanoseconds()
	}
	return t.heard
}

// slicesUntil lets there be slices up to a moment.
func (t *Tally) slicesUntil(moment time.Duration) {
	for len(t.heard.Slices) < int((moment+tallySlice-1)/tallySlice) {
		end := time.Duration(len(t.heard.Slices)+1) * tallySlice
		t.heard.Slices = append(t.heard.Slices, [2]int64{end.Nanoseconds(), 0})
	}
}
