package raft

import (
	"slices"
	"testing"
)

// changes is a log in which servers are added (4) and removed (-1) in term 1, and otherwise
// nothing of interest happens (0).
func changes(servers ...int) (log []Entry) {
	for _, server := range servers {
		switch id := NodeID(server); {
		case id > 0:
			log = append(log, Entry{1, MembershipCommand(AddServer, id)}, Entry{1, MembershipCommand(PromoteServer, id)})
		case id < 0:
			log = append(log, Entry{1, MembershipCommand(RemoveServer, -id)})
		default:
			log = append(log, Entry{1, noop})
		}
	}
	return log
}

// Thesis §4: those whom the data names, and who may be needed to take a change back.
func TestMembersAreThoseOfTheMostUpToDateLog(t *testing.T) {
	first := []NodeID{1, 2, 3}
	snapshot := &Snapshot{9, 2, Configuration{[]NodeID{3, 4}, []NodeID{5}}, nil}
	later := Saved{Entries: []Entry{{2, noop}}, FirstVoters: first}
	of := func(log []Entry) Saved { return Saved{Entries: log, FirstVoters: first} }
	behind, ahead, change := of(changes(0, 4)), of(changes(0, 4, -1, 0, -2, 0)), of(changes(0, -1))
	for _, c := range []struct {
		name  string
		saved map[NodeID]Saved
		want  []NodeID
	}{
		{"nothing", nil, first},
		{"empty logs", map[NodeID]Saved{1: {}, 2: of(nil)}, first},
		{"removed ones stay away", map[NodeID]Saved{1: behind, 2: behind, 3: ahead, 4: ahead}, []NodeID{3, 4}},
		{"a later term", map[NodeID]Saved{1: of(changes(-3, 0, 0, 0)), 2: later, 3: later}, first},
		{"a learner", map[NodeID]Saved{1: of(changes(0, 4)[:2]), 2: of(nil)}, []NodeID{1, 2, 3, 4}},
		{"a change of the removed alone", map[NodeID]Saved{1: change, 2: change, 3: of(nil)}, first},
		{"a change of the others", map[NodeID]Saved{1: of(nil), 2: change, 3: change}, []NodeID{2, 3}},
		{"a snapshot", map[NodeID]Saved{
			1: behind,
			3: {Snapshot: snapshot, Entries: changes(0), FirstVoters: first},
			4: {Snapshot: snapshot, FirstVoters: first},
		}, []NodeID{3, 4, 5}},
		{"an earlier revision", map[NodeID]Saved{2: {Entries: changes(-1)}, 3: {Entries: changes(-1)}}, []NodeID{2, 3}},
	} {
		if got := MembersOf(c.saved, first); !slices.Equal(got, c.want) {
			t.Errorf("%s: started are %v, want %v", c.name, got, c.want)
		}
	}
}

// Figure 2 (persistent state): with two beginnings of one log committed entries diverge.
func TestTheFirstVotersAreSavedOnceAndKept(t *testing.T) {
	n := newTestNode(t, 3, Saved{})
	n.elect()
	saved, err := n.saving.Load()
	must(t, err)
	if !slices.Equal(saved.FirstVoters, []NodeID{1, 2, 3}) {
		t.Fatalf("saved were %v", saved.FirstVoters)
	}
	n.Propose(commands(1)...)
	if again := n.ready().Save; again.FirstVoters != nil {
		t.Errorf("saved again: %+v", again)
	}
	n.acknowledge(2, 2)
	n.ready()
	n.TakeSnapshot(nil, false)
	if save := n.ready().Save; !slices.Equal(save.FirstVoters, []NodeID{1, 2, 3}) {
		t.Errorf("a snapshot replaces all that was saved, but has %v", save.FirstVoters)
	}
	told := newTestNode(t, 5, Saved{FirstVoters: []NodeID{1, 2, 3}})
	if got := told.Configuration().Voters; !slices.Equal(got, []NodeID{1, 2, 3}) {
		t.Errorf("told otherwise it begins with %v", got)
	}
}
