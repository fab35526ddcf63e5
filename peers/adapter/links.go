package adapter

import (
	"sync"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// Links are the faults that the network is to have, which a library's transport asks for before it
// sends. Any goroutine may call their methods.
type Links struct {
	mu     sync.Mutex
	links  raft.Links
	random *raft.Draws
}

// NewLinks returns perfect ones.
func NewLinks(config lives.Config, id raft.NodeID) *Links {
	return &Links{random: raft.NewDraws(config.Seed, raft.NodeLinks(id))}
}

// Passage is how long a message is to take, and whether it arrives. None comes twice.
func (l *Links) Passage(from, to raft.NodeID) (delay time.Duration, arrives bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.links.Perfect() {
		return 0, true
	}
	delays := l.links.Delays(from, to, l.random.Float64)
	if len(delays) == 0 {
		return 0, false
	}
	return delays[0], true
}

// Perfect reports whether nothing is wrong at all.
func (l *Links) Perfect() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.links.Perfect()
}

func (l *Links) change(change func(raft.Links) raft.Links) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.links = change(l.links)
}

// Partition lets only nodes of the same group reach each other; nil heals.
func (l *Links) Partition(groups [][]raft.NodeID) {
	l.change(func(links raft.Links) raft.Links { return links.Partitioned(groups) })
}

// Block cuts these links, each in one direction, and no others.
func (l *Links) Block(ways []raft.Way) {
	l.change(func(links raft.Links) raft.Links { return links.Blocked(ways) })
}

// Cut cuts these links besides what is cut already, until they are mended.
func (l *Links) Cut(ways []raft.Way) (mend func()) {
	l.change(func(links raft.Links) raft.Links { return links.Cut(ways) })
	return func() {
		l.change(func(links raft.Links) raft.Links { return links.Mended(ways) })
	}
}

// Degrade gives every link these faults.
func (l *Links) Degrade(faults raft.Faults) {
	l.change(func(links raft.Links) raft.Links { return links.Degraded(faults) })
}
