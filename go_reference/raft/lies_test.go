package raft

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// A liar says what no node says, in the form that messages have.
type liar struct {
	*rand.Rand
	term uint64 // of the node that is lied to
}

func (l liar) number() int {
	switch l.IntN(8) {
	case 0:
		return 1 << 62
	case 1:
		return 1<<63 - 1
	default:
		return l.IntN(12)
	}
}

func (l liar) aTerm() uint64 {
	if l.IntN(10) == 0 {
		return uint64(l.number())
	}
	return l.term + uint64(l.IntN(2))
}

func (l liar) yes() bool { return l.IntN(2) == 0 }

func (l liar) entries(term uint64) (entries []Entry) {
	for range l.IntN(5) {
		command := &Command{Op: Set, Key: "k"}
		if l.IntN(5) == 0 {
			ops := []Op{AddServer, PromoteServer, RemoveServer}
			command = &Command{Op: ops[l.IntN(3)], Key: strconv.Itoa(1 + l.IntN(6))}
		}
		entries = append(entries, Entry{term, command})
		term += uint64(l.IntN(2))
	}
	return entries
}

func (l liar) message(from, to NodeID) Message {
	switch l.IntN(7) {
	case 0:
		return RequestVote{l.aTerm(), from, to, l.number(), l.aTerm(), l.yes(), l.yes()}
	case 1:
		return RequestVoteReply{l.term, from, to, true, l.yes()}
	case 2:
		previous := l.aTerm()
		return AppendEntries{l.aTerm(), from, to, l.number(), previous, l.entries(previous), l.number(), l.aTerm()}
	case 3:
		return AppendEntriesReply{l.term, from, to, l.yes(), l.number(), l.number(), l.aTerm(), l.aTerm()}
	case 4:
		members := Configuration{Voters: []NodeID{1, 2, 3}}
		return InstallSnapshot{l.aTerm(), from, to, l.number(), l.aTerm(), members, l.IntN(3), []Item{{"k", "v", 0}}, l.yes(), l.aTerm()}
	case 5:
		return InstallSnapshotReply{l.term, from, to, l.number(), l.number()}
	default:
		return TimeoutNow{l.aTerm(), from, to}
	}
}

// Whatever a peer says that is of a message's form, a node bears it. It may be led astray: Raft
// supposes that no server lies (§2).
func TestANodeBearsLies(t *testing.T) {
	settings := Settings{
		Nodes:           []NodeID{1, 2, 3},
		ElectionTimeout: Range{150 * time.Millisecond, 300 * time.Millisecond},
		Heartbeat:       50 * time.Millisecond,
		MaxEntries:      4,
		MaxBytes:        100,
		Window:          4,
		SnapshotEntries: 8,
	}
	for seed := range uint64(4000) {
		random := liar{Rand: rand.New(rand.NewPCG(seed, 0))}
		machine := NewStateMachine()
		node := NewNode(2, settings, random.Float64, Saved{})
		for range 60 {
			switch random.IntN(10) {
			case 0:
				node.ElectionTimeout()
			case 1:
				node.HeartbeatTimeout()
			case 2:
				node.Propose(&Command{Op: Set, Key: "k"})
			default:
				body, tag := AppendMessage(nil, random.message(NodeID(1+2*random.IntN(2)), 2))
				if message, err := DecodeMessage(tag, body); err == nil {
					node.Step(message)
				}
			}
			ready := node.Ready()
			if ready.Snapshot != nil {
				machine.Restore(ready.Snapshot)
			}
			for _, entry := range ready.Committed {
				if _, err := machine.Apply(entry); err != nil {
					t.Fatal(err)
				}
			}
			if node.SnapshotDue() {
				node.TakeSnapshot(machine.Items(), true)
			}
			random.term = node.View().Term
		}
	}
}

// §5.4.3, state machine safety: whoever says otherwise is no leader.
func TestNothingTakesThePlaceOfWhatIsCommitted(t *testing.T) {
	node := NewNode(2, Settings{Nodes: []NodeID{1, 2, 3}}, func() float64 { return 0 }, Saved{})
	node.Step(AppendEntries{Term: 1, From: 1, To: 2, Entries: entriesOf(1, 1, 1), LeaderCommit: 2})
	node.Ready()
	node.Step(AppendEntries{Term: 3, From: 3, To: 2, Entries: entriesOf(1, 2), LeaderCommit: 2})
	if messages := node.Ready().Messages; len(messages) > 0 {
		t.Errorf("answered was %+v", messages)
	}
	if last := node.Log().LastIndex(); last != 3 || node.Log().TermAt(2) != 1 {
		t.Errorf("the log ends at %d", last)
	}
	node.Step(AppendEntries{Term: 3, From: 3, To: 2, Entries: entriesOf(1, 1, 2), LeaderCommit: 2})
	if node.Log().TermAt(3) != 2 {
		t.Error("what is not committed has stayed")
	}
}

func TestNobodyHasWhatALeaderNeverSent(t *testing.T) {
	node := NewNode(2, Settings{Nodes: []NodeID{1, 2, 3}, Heartbeat: 1, MaxEntries: 4, Window: 4, MaxBytes: 100},
		func() float64 { return 0 }, Saved{})
	node.ElectionTimeout()
	node.Step(RequestVoteReply{Term: 1, From: 1, To: 2, Granted: true})
	node.Ready()
	node.Step(AppendEntriesReply{Term: 1, From: 1, To: 2, Success: true, LogIndex: 5})
	node.Ready()
	if node.CommitIndex() != 0 {
		t.Errorf("committed is %d", node.CommitIndex())
	}
	node.Step(AppendEntriesReply{Term: 1, From: 1, To: 2, Success: true, LogIndex: 1})
	if node.CommitIndex() != 1 {
		t.Errorf("committed is %d", node.CommitIndex())
	}
}
