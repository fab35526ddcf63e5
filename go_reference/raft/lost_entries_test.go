package raft

import (
	"slices"
	"testing"
)

// refuse answers what node 3 was asked after index, in a round: it has no log any more.
func (n *testNode) refuse(index int, round uint64) {
	n.Step(AppendEntriesReply{Term: n.term, From: 3, To: 1, LogIndex: index, Round: round})
}

// replicated is a leader whose followers have all four entries of the log.
func replicated(t *testing.T) *testNode {
	n := leader(t, 3, 2, 1, 1, 1)
	n.acknowledge(2, 4)
	n.acknowledge(3, 4)
	n.ready()
	return n
}

// Figure 2 (persistent state): Raft rests on that this does not happen, so it is said.
func TestAFollowerThatLostItsLogIsSaidToHaveAndGetsItAgain(t *testing.T) {
	n := replicated(t)
	n.refuse(4, 0)
	if ready := n.ready(); len(ready.Lost) > 0 {
		t.Fatalf("an old refusal: %+v", ready.Lost)
	}
	n.HeartbeatTimeout()
	sent := sentTo(3, n.ready().Messages)
	if len(sent) != 1 || sent[0].Round != 1 {
		t.Fatalf("sent %+v, want a heartbeat of a new round", sent)
	}
	n.refuse(4, 1)
	ready := n.ready()
	want := []LostEntries{{3, 1, 4}}
	if !slices.Equal(ready.Lost, want) || !slices.Equal(n.Lost(), want) {
		t.Errorf("handed out %+v, and kept %+v", ready.Lost, n.Lost())
	}
	sent = sentTo(3, ready.Messages)
	if len(sent) != 1 || sent[0].PrevLogIndex != 0 || len(sent[0].Entries) != 4 {
		t.Errorf("sent %+v, want the whole log", sent)
	}
	if again := n.ready(); len(again.Lost) > 0 {
		t.Errorf("handed out twice: %+v", again.Lost)
	}
	n.becomeFollower(9)
	if len(n.Lost()) > 0 {
		t.Errorf("who leads no longer knows %+v", n.Lost())
	}
}

// §5.3: messages may be late, and more than once.
func TestOldRefusalsAreNoLoss(t *testing.T) {
	n := replicated(t)
	for _, index := range []int{1, 4, 4, 3} {
		n.refuse(index, 0)
		n.HeartbeatTimeout()
		n.ready()
	}
	// Asked in a new round, but before the acknowledgement that is newer still.
	n.Propose(commands(1)...)
	n.acknowledge(3, 5)
	n.refuse(5, 1)
	if n.ready(); len(n.Lost()) > 0 || progressOf(n.followers, 3).matchIndex != 5 {
		t.Errorf("lost %+v, match %d", n.Lost(), progressOf(n.followers, 3).matchIndex)
	}
}

// Figure 2 (matchIndex): they say what was there, and nothing may be committed by them.
func TestAcknowledgementsOfTheLostLogDoNotCount(t *testing.T) {
	n := replicated(t)
	n.refuse(4, 0)
	n.refuse(4, 1)
	n.ready()
	n.Propose(commands(1)...)
	n.ready()
	n.Step(AppendEntriesReply{Term: 2, From: 3, To: 1, Success: true, LogIndex: 5, Round: 1})
	n.wantCommit(4)
	n.Step(AppendEntriesReply{Term: 2, From: 3, To: 1, Success: true, LogIndex: 5, Round: 2})
	n.wantCommit(5)
}

// A new round that no read asked for takes none away.
func TestReadsThatWaitAreAnsweredAllTheSame(t *testing.T) {
	n := replicated(t)
	round, _ := n.Read()
	n.refuse(4, 0)
	n.refuse(4, 0)
	sent := sentTo(2, n.ready().Messages)
	if len(sent) != 1 || sent[0].Round != round {
		t.Fatalf("sent %+v, want round %d", sent, round)
	}
	n.Step(AppendEntriesReply{Term: 2, From: 2, To: 1, Success: true, LogIndex: 4, Round: round})
	if ready := n.ready(); len(ready.Reads) != 1 || ready.Reads[0].Round != round {
		t.Errorf("answered %+v, want round %d", ready.Reads, round)
	}
}
