package raft

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A duel is a cluster on a clock of its own, in which every message takes the same time.
type duel struct {
	nodes    []*Node
	timeouts []time.Duration // when each node's timer expires
	now      time.Duration
	arrivals []arrival
}

type arrival struct {
	at      time.Duration
	message Message
}

// newDuel lets all nodes stand for election at the same moment, so that each votes for
// itself.
func newDuel(size int, random *rand.Rand) *duel {
	settings := Settings{
		ElectionTimeout: Range{150 * time.Millisecond, 300 * time.Millisecond},
		Heartbeat:       50 * time.Millisecond,
		MaxBytes:        DefaultMaxBytes,
		MaxEntries:      DefaultMaxEntries,
		Window:          DefaultWindow,
	}
	for id := range size {
		settings.Nodes = append(settings.Nodes, NodeID(id+1))
	}
	d := &duel{timeouts: make([]time.Duration, size)}
	for _, id := range settings.Nodes {
		d.nodes = append(d.nodes, NewNode(id, settings, random.Float64, Saved{}))
	}
	for _, n := range d.nodes {
		n.ElectionTimeout()
		d.carryOut(n)
	}
	return d
}

func (d *duel) carryOut(n *Node) {
	ready := n.Ready()
	if ready.Timer > 0 {
		d.timeouts[n.id-1] = d.now + ready.Timer
	}
	for _, message := range ready.Messages {
		d.arrivals = append(d.arrivals, arrival{d.now + 15*time.Millisecond, message})
	}
}

// advance lets the next thing happen: a message arrives, or a timer expires.
func (d *duel) advance() {
	first := slices.MinFunc(d.nodes, func(a, b *Node) int {
		return cmp.Compare(d.timeouts[a.id-1], d.timeouts[b.id-1])
	})
	n := first
	if len(d.arrivals) > 0 && d.arrivals[0].at <= d.timeouts[first.id-1] {
		next := d.arrivals[0]
		d.arrivals = d.arrivals[1:]
		n = d.nodes[next.message.Recipient()-1]
		d.now = next.at
		n.Step(next.message)
	} else {
		d.now = d.timeouts[first.id-1]
		n.Timeout()
	}
	d.carryOut(n)
}

func (d *duel) led() bool {
	return slices.ContainsFunc(d.nodes, func(n *Node) bool { return n.role == Leader })
}

// §5.2, §9.3: randomised timeouts resolve split votes, however the first round goes.
func TestDuellingCandidatesMakeProgress(t *testing.T) {
	for _, size := range []int{2, 3, 4, 5, 7} {
		for seed := range uint64(20) {
			d := newDuel(size, rand.New(rand.NewPCG(seed, 0)))
			for !d.led() {
				if d.now > time.Minute {
					t.Fatalf("%d nodes, seed %d: no leader within a minute", size, seed)
				}
				d.advance()
			}
		}
	}
}
