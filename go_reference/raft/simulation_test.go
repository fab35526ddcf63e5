package raft

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A world is a cluster of cores on a network that loses, repeats, delays and reorders, whose
// nodes crash between any two of a step's duties, compact their logs and hand over. Figure 3's
// guarantees are checked after every event.
type world struct {
	t       *testing.T
	random  *rand.Rand
	nodes   []*simulated
	network []Message
	options int // what is on of the thesis's additions, one bit each

	leaders   map[uint64]NodeID // by term
	committed []Entry           // by index, from 1 on: what any node has applied
	proposed  uint64
}

type simulated struct {
	*Node
	storage *MemoryStorage
	applied int
	commit  int
}

// chaos are the probabilities of a step's misfortunes.
type chaos struct{ drop, duplicate, crash float64 }

func newWorld(t *testing.T, size int, seed uint64) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), leaders: map[uint64]NodeID{}}
	w.options = w.random.IntN(8)
	for range size {
		w.nodes = append(w.nodes, &simulated{storage: NewMemoryStorage()})
	}
	for id := range w.nodes {
		w.start(NodeID(id + 1))
	}
	return w
}

func (w *world) node(id NodeID) *simulated { return w.nodes[id-1] }

// start begins a life of the node, after a crash or as the first one.
func (w *world) start(id NodeID) {
	settings := Settings{
		ElectionTimeout: Range{10 * time.Millisecond, 20 * time.Millisecond},
		Heartbeat:       time.Millisecond,
		MaxBytes:        1 + w.random.IntN(100),
		MaxEntries:      1 + w.random.IntN(5),
		Window:          1 + w.random.IntN(3),
		PreVote:         w.options&1 > 0,
		CheckQuorum:     w.options&2 > 0,
	}
	if w.options&4 > 0 {
		settings.SnapshotEntries = 8
	}
	for other := range w.nodes {
		settings.Nodes = append(settings.Nodes, NodeID(other+1))
	}
	n := w.node(id)
	saved, err := n.storage.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	n.Node = NewNode(id, settings, w.random.Float64, saved)
	n.applied, n.commit = 0, 0
}

// happen lets a few things happen to one node, which then carries out what they ask for, as
// far as it gets.
func (w *world) happen(c chaos) {
	id := NodeID(1 + w.random.IntN(len(w.nodes)))
	for range 1 + w.random.IntN(3) {
		switch dice := w.random.Float64(); {
		case dice < 0.02:
			w.node(id).Timeout()
		case dice < 0.025:
			w.node(id).Transfer(NodeID(1 + w.random.IntN(len(w.nodes))))
		case dice < 0.15:
			w.proposed++
			w.node(id).Propose(&Command{Op: Set, Key: "k", Value: new("v"), Serial: w.proposed})
		default:
			w.deliver(id, c)
		}
	}
	w.carryOut(id, c)
}

// deliver takes any of the messages for the node from the network to it, unless that is lost.
func (w *world) deliver(id NodeID, c chaos) {
	var waiting []int
	for i, message := range w.network {
		if message.Recipient() == id {
			waiting = append(waiting, i)
		}
	}
	if len(waiting) == 0 {
		return
	}
	i := waiting[w.random.IntN(len(waiting))]
	message := w.network[i]
	if w.random.Float64() >= c.duplicate {
		w.network = slices.Delete(w.network, i, i+1)
	}
	if w.random.Float64() >= c.drop {
		w.node(id).Step(message)
	}
}

// carryOut does what the node asks for, unless it crashes on the way.
func (w *world) carryOut(id NodeID, c chaos) {
	n := w.node(id)
	crashesAfter := -1
	if w.random.Float64() < c.crash {
		crashesAfter = w.random.IntN(3)
	}
	ready := n.Ready()
	for duty, perform := range []func(){
		func() { w.save(n, ready.Save) },
		func() { w.network = append(w.network, ready.Messages...) },
		func() { w.apply(id, ready) },
	} {
		if duty == crashesAfter {
			w.start(id)
			break
		}
		perform()
	}
	w.check()
}

func (w *world) save(n *simulated, save Save) {
	if err := n.storage.Save(save); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) apply(id NodeID, ready Ready) {
	n := w.node(id)
	if ready.Snapshot != nil {
		n.applied = ready.Snapshot.LastIndex
		if len(ready.Snapshot.Items) != n.applied {
			w.t.Fatalf("node %d restored a snapshot of another index", id)
		}
	}
	for _, entry := range ready.Committed {
		n.applied++
		if n.applied > len(w.committed) {
			w.committed = append(w.committed, entry)
		} else if w.committed[n.applied-1] != entry {
			w.t.Fatalf("state machine safety: node %d applied another entry at %d", id, n.applied)
		}
	}
	if n.SnapshotDue() {
		n.TakeSnapshot(itemsOf(n.applied), true)
	}
}

func (w *world) check() {
	w.t.Helper()
	for i, n := range w.nodes {
		id, view := NodeID(i+1), n.View()
		if view.Role == Leader {
			if other, known := w.leaders[view.Term]; known && other != id {
				w.t.Fatalf("election safety: %d and %d both led term %d", other, id, view.Term)
			}
			w.leaders[view.Term] = id
		}
		if n.CommitIndex() < n.commit || n.CommitIndex() > n.log.LastIndex() {
			w.t.Fatalf("node %d's commit index went from %d to %d of %d",
				id, n.commit, n.CommitIndex(), n.log.LastIndex())
		}
		n.commit = n.CommitIndex()
		for _, other := range w.nodes[:i] {
			w.checkLogsMatch(n, other)
		}
		for _, follower := range n.followers {
			if view.Role == Leader && follower.matchIndex >= follower.nextIndex {
				w.t.Fatalf("node %d takes %d for matched, yet sends from %d",
					id, follower.matchIndex, follower.nextIndex)
			}
		}
	}
}

// checkLogsMatch: "If two logs contain an entry with the same index and term, then the logs
// are identical in all entries up through the given index."
func (w *world) checkLogsMatch(a, b *simulated) {
	agree := false
	first := max(a.log.FirstIndex(), b.log.FirstIndex())
	for index := min(a.log.LastIndex(), b.log.LastIndex()); index >= first; index-- {
		same := a.log.Slice(index, index)[0] == b.log.Slice(index, index)[0]
		if agree && !same || !same && a.log.TermAt(index) == b.log.TermAt(index) {
			w.t.Fatalf("log matching: nodes %d and %d differ at %d", a.id, b.id, index)
		}
		agree = agree || same
	}
}

// settle ends all misfortune, and then a majority, all nodes in fact, must come to agree.
func (w *world) settle() {
	for range 100 * len(w.nodes) {
		id := NodeID(1 + w.random.IntN(len(w.nodes)))
		w.node(id).Timeout()
		w.carryOut(id, chaos{})
		for rounds := 0; len(w.network) > 0; rounds++ {
			if rounds > 20_000 {
				w.t.Fatal("the nodes never stop talking")
			}
			id := w.network[w.random.IntN(len(w.network))].Recipient()
			w.deliver(id, chaos{})
			w.carryOut(id, chaos{})
		}
		if w.agreed() {
			return
		}
	}
	for _, n := range w.nodes {
		w.t.Logf("node %d: %+v, log ends at %d, applied %d", n.id, n.View(), n.log.LastIndex(), n.applied)
	}
	w.t.Fatal("no agreement, though nothing stands in its way")
}

func (w *world) agreed() bool {
	for _, n := range w.nodes {
		if n.View().Leader != w.nodes[0].View().Leader || n.applied != n.log.LastIndex() ||
			n.log.LastIndex() != w.nodes[0].log.LastIndex() || n.View().Leader == 0 {
			return false
		}
	}
	return true
}

func TestRandomWorlds(t *testing.T) {
	worlds := uint64(200)
	if testing.Short() {
		worlds = 20
	}
	for name, c := range map[string]chaos{
		"calm":  {},
		"lossy": {drop: 0.2, duplicate: 0.2},
		"crash": {crash: 0.05},
		"all":   {drop: 0.1, duplicate: 0.1, crash: 0.02},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			committed := 0
			for seed := range worlds {
				size := 1 + int(seed%5)
				t.Run(fmt.Sprintf("%d nodes, seed %d", size, seed), func(t *testing.T) {
					w := newWorld(t, size, seed)
					for range 1000 {
						w.happen(c)
					}
					w.settle()
					committed += len(w.committed)
				})
			}
			if committed < int(worlds)*10 {
				t.Errorf("only %d entries were committed in all worlds: they test little", committed)
			}
		})
	}
}
