package raft

import (
	"reflect"
	"strings"
	"testing"
)

func text(size int) *string { return new(strings.Repeat("v", size)) }

// sizes are those of the entries in each message to a node that has any.
func sizes(to NodeID, messages []Message) (found [][]int) {
	for _, m := range sentTo(to, messages) {
		var entries []int
		for _, entry := range m.Entries {
			entries = append(entries, entry.size())
		}
		if entries != nil {
			found = append(found, entries)
		}
	}
	return found
}

func TestAnEntrysSizeIsTheBytesOfItsTexts(t *testing.T) {
	for _, c := range []struct {
		command Command
		size    int
	}{
		{Command{Op: Noop}, 0},
		{Command{Op: Get, Key: "key"}, 3},
		{Command{Op: Set, Key: "clé", Value: new("…")}, 4 + 3},
		{Command{Op: Cas, Key: "k", Value: new("👍"), Client: new("client"), Serial: 7}, 1 + 4 + 6},
		{Command{Op: Cas, Key: "k", Value: new("v"), Expect: new("ex")}, 4},
	} {
		if got := (Entry{3, &c.command}).size(); got != c.size {
			t.Errorf("%+v has %d bytes, want %d", c.command, got, c.size)
		}
	}
	for i, size := range []int{7, 6, 1} {
		item := []Item{{Name: "clé", Value: "…"}, {"client", true, 7}, {Name: "k"}}[i]
		if got := item.size(); got != size {
			t.Errorf("%+v has %d bytes, want %d", item, got, size)
		}
	}
}

// §5.3: each follows on the one before, so that nothing is left out.
func TestMessagesAreBoundedInBytes(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{}, func(s *Settings) { s.MaxBytes, s.MaxEntries, s.Window = 1000, 1024, 4 })
	n.elect()
	n.acknowledge(2, 1)
	n.ready()
	next := 2
	for _, c := range []struct {
		values []int
		want   [][]int
	}{
		{[]int{300, 300, 300, 300, 300}, [][]int{{300, 300, 300}, {300, 300}}},
		{[]int{300, 5000, 300}, [][]int{{300}, {5000}}}, // that is more than the window's share
		{[]int{2500, 2500, 2500}, [][]int{{300}, {2500}, {2500}}},
	} {
		for _, size := range c.values {
			n.Propose(&Command{Op: Set, Key: "", Value: text(size)})
		}
		messages := n.ready().Messages
		if got := sizes(2, messages); !reflect.DeepEqual(got, c.want) {
			t.Fatalf("of values of %v bytes were sent %v, want %v", c.values, got, c.want)
		}
		for _, m := range sentTo(2, messages) {
			if m.PrevLogIndex != next-1 {
				t.Fatalf("after index %d, want %d", m.PrevLogIndex, next-1)
			}
			next += len(m.Entries)
		}
		n.acknowledge(2, next-1)
	}
}

func TestPiecesAreBoundedInBytes(t *testing.T) {
	var items []Item
	for _, size := range []int{300, 300, 300, 300, 5000, 300} {
		items = append(items, Item{Value: *text(size)})
	}
	saved := Saved{Snapshot: &Snapshot{5, 1, Configuration{Voters: []NodeID{1, 2, 3}}, items}}
	saved.HardState.Term = 1
	n := newTestNodeWith(t, 3, saved, func(s *Settings) { s.MaxBytes, s.MaxEntries = 1000, 1024 })
	n.elect()
	n.Step(AppendEntriesReply{Term: 2, From: 3, To: 1, LogIndex: 5})
	received := 0
	for _, want := range []int{3, 1, 1, 1} {
		got := pieces(3, n.ready().Messages)
		if len(got) != 1 || len(got[0].Items) != want || got[0].Done != (received+want == len(items)) {
			t.Fatalf("from item %d on: %d pieces, want one of %d items", received, len(got), want)
		}
		received += want
		n.Step(InstallSnapshotReply{Term: 2, From: 3, To: 1, SnapshotIndex: 5, Received: received})
	}
}

func TestAHeartbeatGoesAfterWhatIsKnownToMatchWhileMuchIsUnderWay(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{}, func(s *Settings) { s.MaxBytes, s.Window = 1000, 4 })
	n.elect()
	n.acknowledge(2, 1)
	n.ready()
	for range 3 {
		n.Propose(&Command{Op: Set, Value: text(900)})
	}
	n.ready()
	n.acknowledge(2, 2)
	n.ready()
	for _, want := range []int{2, 4} {
		n.HeartbeatTimeout()
		if sent := sentTo(2, n.ready().Messages); len(sent) != 1 || sent[0].PrevLogIndex != want {
			t.Errorf("sent %+v, want one after index %d", sent, want)
		}
	}
}
