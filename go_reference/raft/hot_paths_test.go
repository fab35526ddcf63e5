package raft

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// The work of one committed batch of 64 commands, taken apart: benchmark for benchmark what
// tests/benchmarks/test_hot_paths.py measures in Python, under the same names. Each does what a
// node of three does once for such a batch: commands of client sessions with 64 bytes of value.

const (
	hotBatch  = 64
	hotBefore = 1000
)

var (
	hotSettings = Settings{
		Nodes:           []NodeID{1, 2, 3},
		ElectionTimeout: Range{150 * time.Millisecond, 300 * time.Millisecond},
		Heartbeat:       50 * time.Millisecond,
		MaxBytes:        DefaultMaxBytes,
		MaxEntries:      DefaultMaxEntries,
		Window:          DefaultWindow,
		SnapshotEntries: DefaultSnapshotEntries,
	}
	hotEarlier  = hotEntries(hotBefore, false)
	hotNew      = hotEntries(hotBatch, true)
	hotCommands = commandsOf(hotNew)
	hotMessage  = AppendEntries{
		Term: 1, From: 1, To: 2, PrevLogIndex: hotBefore, PrevLogTerm: 1, Entries: hotNew, LeaderCommit: hotBefore,
	}
)

func hotEntries(count int, sessions bool) []Entry {
	value := string(make([]byte, 64))
	entries := make([]Entry, count)
	for n := range entries {
		command := &Command{Op: Set, Key: fmt.Sprintf("key-%d", n), Value: &value}
		if sessions {
			command.Client, command.Serial = new(fmt.Sprintf("client-%d", n)), 1
		}
		entries[n] = Entry{1, command}
	}
	return entries
}

func commandsOf(entries []Entry) (commands []*Command) {
	for _, entry := range entries {
		commands = append(commands, entry.Command)
	}
	return commands
}

// fresh times f on what prepare returns, anew each time.
func fresh[T any](b *testing.B, prepare func() T, f func(T)) {
	b.ReportAllocs()
	for range b.N {
		b.StopTimer()
		subject := prepare()
		b.StartTimer()
		f(subject)
	}
}

func hotLog(entries ...Entry) *ReplicatedLog { return NewReplicatedLog(Snapshot{}, entries) }

// hotLeader is a leader whose followers have all that it has, its no-op included.
func hotLeader() *Node {
	node := NewNode(1, hotSettings, func() float64 { return 0.5 }, Saved{})
	node.ElectionTimeout()
	node.Step(RequestVoteReply{Term: 1, From: 2, To: 1, Granted: true})
	node.Propose(commandsOf(hotEarlier[1:])...)
	node.Ready()
	for _, follower := range []NodeID{2, 3} {
		node.Step(AppendEntriesReply{Term: 1, From: follower, To: 1, Success: true, LogIndex: hotBefore})
	}
	node.Ready()
	return node
}

func hotFollower() *Node {
	node := NewNode(2, hotSettings, func() float64 { return 0.5 }, Saved{Entries: hotEarlier})
	node.Ready()
	return node
}

func BenchmarkMerge64EntriesIntoALog(b *testing.B) {
	merge := func(want int) func(*ReplicatedLog) {
		return func(log *ReplicatedLog) {
			if got := log.Merge(hotBefore, hotNew); got != want {
				b.Fatalf("merged from %d", got)
			}
		}
	}
	b.Run("new", func(b *testing.B) {
		fresh(b, func() *ReplicatedLog { return hotLog(hotEarlier...) }, merge(hotBefore+1))
	})
	b.Run("known", func(b *testing.B) {
		fresh(b, func() *ReplicatedLog { return hotLog(append(hotEarlier[:hotBefore:hotBefore], hotNew...)...) }, merge(0))
	})
}

func BenchmarkAppend64EntriesToALog(b *testing.B) {
	fresh(b, func() *ReplicatedLog { return hotLog(hotEarlier...) }, func(log *ReplicatedLog) {
		log.Append(hotNew...)
		if log.LastIndex() != hotBefore+hotBatch {
			b.Fatal("something else was appended")
		}
	})
}

func BenchmarkALeaderTakes64Proposals(b *testing.B) {
	fresh(b, hotLeader, func(node *Node) {
		node.Propose(hotCommands...)
		if ready := node.Ready(); len(ready.Messages) != 2 || len(ready.Save.Entries) != hotBatch {
			b.Fatalf("%+v", ready)
		}
	})
}

func BenchmarkALeaderTakesTheReplyThatCommits64Entries(b *testing.B) {
	reply := AppendEntriesReply{Term: 1, From: 2, To: 1, Success: true, LogIndex: hotBefore + hotBatch}
	prepare := func() *Node {
		node := hotLeader()
		node.Propose(hotCommands...)
		node.Ready()
		return node
	}
	fresh(b, prepare, func(node *Node) {
		node.Step(reply)
		if ready := node.Ready(); len(ready.Committed) != hotBatch {
			b.Fatalf("committed %d", len(ready.Committed))
		}
	})
}

func BenchmarkAFollowerTakes64Entries(b *testing.B) {
	fresh(b, hotFollower, func(node *Node) {
		node.Step(hotMessage)
		if ready := node.Ready(); len(ready.Messages) != 1 || len(ready.Save.Entries) != hotBatch {
			b.Fatalf("%+v", ready)
		}
	})
}

func BenchmarkAStateMachineApplies64Entries(b *testing.B) {
	fresh(b, NewStateMachine, func(machine *StateMachine) {
		for _, entry := range hotNew {
			if _, err := machine.Apply(entry); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func Benchmark64WaitersAreAnswered(b *testing.B) {
	prepare := func() chan Outcome { return make(chan Outcome, hotBatch) }
	apply := func(Entry) (Result, error) { return nil, nil }
	fresh(b, prepare, func(outcomes chan Outcome) {
		proposals := make([]Proposal, hotBatch)
		for i, command := range hotCommands {
			proposals[i] = Proposal{Command: command, Done: Into(outcomes)}
		}
		var waiters Waiters
		waiters.Add(1, 1, proposals)
		waiters.Applied(1, hotNew, apply)
		if len(outcomes) != hotBatch {
			b.Fatalf("%d were answered", len(outcomes))
		}
	})
}

// Messages are passed as they are in Go: these are of the record that storage keeps.
func BenchmarkEncode64Entries(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(appendEntries(nil, hotBefore+1, hotNew)) < hotBatch*64 {
			b.Fatal("something is missing")
		}
	}
}

func BenchmarkDecode64Entries(b *testing.B) {
	payload := appendEntries(nil, 1, hotNew)
	b.ReportAllocs()
	for b.Loop() {
		var saved Saved
		if err := saved.replay(payload, false); err != nil || len(saved.Entries) != hotBatch {
			b.Fatalf("%d entries: %v", len(saved.Entries), err)
		}
	}
}

func BenchmarkSave64EntriesToAFile(b *testing.B) {
	storage := NewDiskStorage(filepath.Join(b.TempDir(), "node-1.log"))
	if _, err := storage.Load(); err != nil {
		b.Fatal(err)
	}
	defer storage.Close()
	first := 1
	for b.Loop() {
		if err := storage.Save(Save{FirstIndex: first, Entries: hotNew}); err != nil {
			b.Fatal(err)
		}
		first += hotBatch
	}
}
