package network

import (
	"slices"
	"sync"
	"time"

	"raftmark/raft"
)

const (
	// maxBacklog bounds what waits for one peer, in bytes; what exceeds it is dropped, as Raft
	// allows.
	maxBacklog = 16 << 20
	// writeSize is about how much is written at once: what is in haste waits for no more.
	writeSize = 64 << 10
)

// An outgoing is a message that waits to be written.
type outgoing struct {
	message raft.Message
	delay   time.Duration
	size    int
}

// An outbox is what waits for one peer's writer. Nobody who puts something in it waits.
//
// Votes, answers and heartbeats overtake the entries that wait, so that a peer which is sent much
// does not take its leader for dead.
type outbox struct {
	wake chan struct{} // holds one token while something waits

	mu      sync.Mutex
	open    bool // whether there is a connection: without one all is dropped
	hasty   []outgoing
	waiting []outgoing
	size    int
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// put adds a message, if there is a connection and not too much waits for it already.
func (o *outbox) put(message raft.Message, delay time.Duration) {
	o.mu.Lock()
	if !o.open || o.size >= maxBacklog {
		o.mu.Unlock()
		return
	}
	out := outgoing{message, delay, raft.SizeOf(message)}
	o.size += out.size
	if len(o.waiting) > 0 && overtakes(message, o.waiting[0].message) {
		o.hasty = append(o.hasty, out)
	} else {
		o.waiting = append(o.waiting, out)
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// overtakes reports whether a message may go before those that wait, of which first is the first.
//
// A heartbeat may that asks for none of the entries which wait: the others would be refused.
func overtakes(message, first raft.Message) bool {
	switch m := message.(type) {
	case raft.RequestVote, raft.RequestVoteReply, raft.AppendEntriesReply, raft.InstallSnapshotReply:
		return true
	case raft.AppendEntries:
		entries, ok := first.(raft.AppendEntries)
		return len(m.Entries) == 0 && ok && m.PrevLogIndex <= entries.PrevLogIndex
	default:
		return false
	}
}

// take moves the messages for one write to batch.
func (o *outbox) take(batch []outgoing) []outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch = append(batch[:0], o.hasty...)
	clear(o.hasty)
	o.hasty = o.hasty[:0]
	count, size := 0, 0
	for count < len(o.waiting) && size < writeSize {
		size += o.waiting[count].size
		count++
	}
	batch = append(batch, o.waiting[:count]...)
	o.waiting = slices.Delete(o.waiting, 0, count)
	for _, out := range batch {
		o.size -= out.size
	}
	return batch
}

// connect opens the outbox, and disconnect closes it and drops what waits.
func (o *outbox) connect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = true
}

func (o *outbox) disconnect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open, o.hasty, o.waiting, o.size = false, nil, nil, 0
}
