package raft

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// itemsOf are so many keys.
func itemsOf(count int) []Item {
	var items []Item
	for i := range count {
		items = append(items, Item{Name: fmt.Sprint("k", i), Value: "v"})
	}
	return items
}

// snapshotAt is a snapshot of three voters.
func snapshotAt(index int, term uint64, items int) *Snapshot {
	return &Snapshot{index, term, Configuration{Voters: []NodeID{1, 2, 3}}, itemsOf(items)}
}

func snapshotting(every int) func(*Settings) {
	return func(s *Settings) { s.SnapshotEntries = every }
}

// compacted is a leader of term 2 whose log begins after a snapshot at 5, of ten items.
func compacted(t *testing.T) *testNode {
	n := leader(t, 3, 2, 1, 1, 1, 1)
	n.acknowledge(2, 5)
	n.ready()
	n.TakeSnapshot(itemsOf(10), false)
	n.ready()
	return n
}

func pieces(peer NodeID, messages []Message) []InstallSnapshot {
	var pieces []InstallSnapshot
	for _, message := range messages {
		if m, ok := message.(InstallSnapshot); ok && m.To == peer {
			pieces = append(pieces, m)
		}
	}
	return pieces
}

func TestASnapshotTakesTheLogsPlace(t *testing.T) {
	n := leader(t, 3, 2, 1, 1, 1, 1)
	n.acknowledge(2, 5)
	n.ready()
	n.Propose(commands(2)...)
	n.TakeSnapshot(itemsOf(3), false)
	ready := n.ready()
	if got := ready.Save; *got.HardState != (HardState{2, 1}) || got.FirstIndex != 6 || len(got.Entries) != 2 ||
		!reflect.DeepEqual(got.Snapshot, snapshotAt(5, 2, 3)) {
		t.Errorf("saved %+v", got)
	}
	if n.log.FirstIndex() != 6 || n.log.LastIndex() != 7 || n.Snapshot().LastIndex != 5 {
		t.Errorf("the log is from %d to %d", n.log.FirstIndex(), n.log.LastIndex())
	}
	n.TakeSnapshot(itemsOf(3), false) // of the same state
	if again := n.ready(); !again.Save.Empty() {
		t.Errorf("saved again: %+v", again.Save)
	}
}

// docs/protocol.md, start: so many entries on, and the last quarter stays.
func TestSnapshotsAreDueRegularly(t *testing.T) {
	n := newTestNodeWith(t, 1, Saved{}, snapshotting(8))
	n.Timeout()
	n.Ready() // applied is the no-op
	for _, c := range []struct {
		commands, first int
		due             bool
	}{{6, 1, false}, {1, 7, true}, {7, 7, false}, {2, 15, true}, {30, 39, true}} {
		n.Propose(commands(c.commands)...)
		n.Ready()
		if n.SnapshotDue() != c.due {
			t.Fatalf("with %d applied: due %v", n.applied, n.SnapshotDue())
		}
		if c.due {
			n.TakeSnapshot(nil, true)
		}
		if n.log.FirstIndex() != c.first || n.SnapshotDue() {
			t.Fatalf("with %d applied the log is from %d, due %v", n.applied, n.log.FirstIndex(), n.SnapshotDue())
		}
	}
	if n = newTestNodeWith(t, 1, Saved{}, snapshotting(0)); n.SnapshotDue() {
		t.Error("never is due")
	}
}

func TestANewLifeBeginsWithItsSnapshot(t *testing.T) {
	before := compacted(t)
	before.Propose(commands(1)...)
	before.ready()
	saved, err := before.saving.Load()
	must(t, err)
	n := &testNode{t: t, Node: NewNode(1, before.settings, func() float64 { return 0 }, saved)}
	ready := n.Ready()
	if ready.Snapshot != before.snapshot || !ready.Save.Empty() || len(ready.Committed) > 0 {
		t.Errorf("%+v", ready)
	}
	n.wantCommit(5)
	if n.log.FirstIndex() != 6 || n.log.LastIndex() != 6 || !n.log.Matches(5, 2) {
		t.Errorf("the log is from %d to %d", n.log.FirstIndex(), n.log.LastIndex())
	}
	if n.Ready().Snapshot != nil {
		t.Error("it is restored twice")
	}
}

// §7, figure 13: in pieces, one after the other's answer.
func TestAFollowerThatNeedsWhatIsGoneGetsTheSnapshot(t *testing.T) {
	n := compacted(t)
	n.Step(AppendEntriesReply{Term: 2, From: 3, To: 1, LogIndex: 4, HintIndex: 1, HintTerm: 1})
	for _, offset := range []int{0, 4, 8} {
		want := InstallSnapshot{
			Term: 2, From: 1, To: 3, SnapshotIndex: 5, SnapshotTerm: 2, Configuration: *n.configuration,
			Offset: offset, Items: itemsOf(10)[offset:min(offset+4, 10)], Done: offset == 8,
		}
		if got := pieces(3, n.ready().Messages); !reflect.DeepEqual(got, []InstallSnapshot{want}) {
			t.Fatalf("sent %+v, want %+v", got, want)
		}
		if again := pieces(3, n.ready().Messages); len(again) > 0 {
			t.Fatalf("sent %+v before the piece was answered", again)
		}
		if offset < 8 {
			n.Step(InstallSnapshotReply{Term: 2, From: 3, To: 1, SnapshotIndex: 5, Received: offset + 4})
		}
	}
	n.Propose(commands(1)...)
	n.acknowledge(3, 5)
	messages := n.ready().Messages
	if sent := sentTo(3, messages); len(sent) != 1 || sent[0].PrevLogIndex != 5 || len(pieces(3, messages)) > 0 {
		t.Errorf("after the snapshot came %+v", messages)
	}
}

func TestALostPieceIsSentAgain(t *testing.T) {
	n := compacted(t)
	n.Step(AppendEntriesReply{Term: 2, From: 3, To: 1, LogIndex: 4, HintIndex: 1, HintTerm: 1})
	first := pieces(3, n.ready().Messages)
	for range 3 {
		n.HeartbeatTimeout()
		asked := pieces(3, n.ready().Messages)
		if len(asked) != 1 || len(asked[0].Items) > 0 || asked[0].Done {
			t.Errorf("a silent follower was sent %+v", asked)
		}
	}
	n.Step(InstallSnapshotReply{Term: 2, From: 3, To: 1, SnapshotIndex: 5})
	if again := pieces(3, n.ready().Messages); !reflect.DeepEqual(again, first) {
		t.Errorf("sent %+v", again)
	}
	// A follower that was restarted meanwhile lacks what it had.
	n.Step(InstallSnapshotReply{Term: 2, From: 3, To: 1, SnapshotIndex: 5, Received: 4})
	n.ready()
	n.Step(InstallSnapshotReply{Term: 2, From: 3, To: 1, SnapshotIndex: 5})
	if got := pieces(3, n.ready().Messages); len(got) != 1 || got[0].Offset != 0 {
		t.Errorf("sent %+v", got)
	}
}

// pieceOf is a piece of a snapshot of six items.
func pieceOf(index, offset, count int) InstallSnapshot {
	return InstallSnapshot{
		Term: 3, From: 2, To: 1, SnapshotIndex: index, SnapshotTerm: 2,
		Configuration: Configuration{Voters: []NodeID{1, 2, 3}},
		Offset:        offset, Items: itemsOf(6)[offset : offset+count], Done: offset+count == 6,
	}
}

func TestAFollowerPutsASnapshotTogether(t *testing.T) {
	n := follower(t, 3, 1, 1)
	received := func(count int) Message { return InstallSnapshotReply{3, 1, 2, 9, count} }
	n.wantAnswer(pieceOf(9, 2, 2), received(0)) // not the first
	n.wantAnswer(pieceOf(9, 0, 2), received(2))
	n.wantAnswer(pieceOf(9, 0, 2), received(2)) // again
	n.wantAnswer(pieceOf(9, 2, 3), received(5))
	n.wantView(Follower, 3, 2)
	n.Step(pieceOf(9, 5, 1))
	ready := n.ready()
	want := snapshotAt(9, 2, 6)
	if !reflect.DeepEqual(ready.Snapshot, want) || ready.Timer == 0 ||
		!reflect.DeepEqual(ready.Save, Save{&HardState{Term: 3}, 10, nil, ready.Snapshot, n.settings.Nodes}) {
		t.Errorf("%+v", ready)
	}
	whole := AppendEntriesReply{Term: 3, From: 1, To: 2, Success: true, LogIndex: 9}
	if !reflect.DeepEqual(ready.Messages, []Message{whole}) {
		t.Errorf("answered %+v", ready.Messages)
	}
	n.wantCommit(9)
	n.wantAnswer(pieceOf(9, 0, 2), whole) // not needed any more
	n.wantAnswer(
		AppendEntries{Term: 3, From: 2, To: 1, PrevLogIndex: 9, PrevLogTerm: 2, Entries: entriesOf(3), LeaderCommit: 10},
		AppendEntriesReply{Term: 3, From: 1, To: 2, Success: true, LogIndex: 10})
	n.wantCommit(10)
}

func TestAnotherLeadersPiecesDoNotMix(t *testing.T) {
	n := follower(t, 3)
	n.wantAnswer(pieceOf(9, 0, 4), InstallSnapshotReply{3, 1, 2, 9, 4})
	other := pieceOf(9, 4, 2)
	other.Term, other.From = 4, 3
	n.wantAnswer(other, InstallSnapshotReply{4, 1, 3, 9, 0})
	n.wantAnswer(pieceOf(9, 4, 2), InstallSnapshotReply{4, 1, 2, 9, 0}) // of an earlier term
	n.wantView(Follower, 4, 3)
}

// §7: "If the follower has an entry that matches the last one of the snapshot, what follows
// it stays."
func TestWhatFollowsASnapshotStaysWhereItMatches(t *testing.T) {
	for _, c := range []struct {
		terms []uint64
		last  int
	}{{[]uint64{1, 2, 2, 3}, 4}, {[]uint64{1, 1, 1, 3}, 3}, {[]uint64{1}, 3}} {
		n := follower(t, 3, c.terms...)
		n.Step(pieceOf(3, 0, 6))
		ready := n.ready()
		if n.log.FirstIndex() != 4 || n.log.LastIndex() != c.last || len(ready.Save.Entries) != c.last-3 {
			t.Errorf("of %v stays what is from %d to %d; saved %+v", c.terms, n.log.FirstIndex(), n.log.LastIndex(), ready.Save)
		}
	}
}

// §5.4.3: what was compacted away was committed, so that every leader has it.
func TestEntriesThatAreCompactedAwayMatch(t *testing.T) {
	n := follower(t, 3)
	n.Step(pieceOf(9, 0, 6))
	n.ready()
	n.wantAnswer(
		AppendEntries{Term: 3, From: 2, To: 1, PrevLogIndex: 6, PrevLogTerm: 1, Entries: entriesOf(1, 1, 2, 3), LeaderCommit: 9},
		AppendEntriesReply{Term: 3, From: 1, To: 2, Success: true, LogIndex: 10})
	if !slices.Equal(termsOf(n.log.Slice(1, 99)), []uint64{3}) {
		t.Errorf("the log is %v", termsOf(n.log.Slice(1, 99)))
	}
}
