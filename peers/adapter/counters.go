package adapter

import (
	"sync/atomic"
	"time"

	"raftmark/raft"
)

// Counters count what a node sends and saves in all its lives. Any goroutine may add to them.
type Counters struct {
	Messages, Bytes        atomic.Int64 // sent to its peers
	saves, saveNs, entries atomic.Int64
}

// Saved notes a save that began then, of so many entries.
func (c *Counters) Saved(began time.Time, entries int) {
	c.saveNs.Add(time.Since(began).Nanoseconds())
	c.saves.Add(1)
	c.entries.Add(int64(entries))
}

// Sums are what was counted so far.
func (c *Counters) Sums() raft.Counters {
	return raft.Counters{
		Messages: int(c.Messages.Load()),
		Bytes:    new(int(c.Bytes.Load())),
		Saves:    int(c.saves.Load()),
		SaveNs:   c.saveNs.Load(),
		Entries:  int(c.entries.Load()),
	}
}
