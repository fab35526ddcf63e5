package raft

import "testing"

// read asks for a read, and lets its round begin.
func (n *testNode) read() uint64 {
	n.t.Helper()
	round, ok := n.Read()
	if !ok {
		n.t.Fatal("the leader refused a read")
	}
	messages := n.ready().Messages
	for _, follower := range n.followers {
		sent := sentTo(follower.id, messages)
		if len(sent) == 0 || sent[len(sent)-1].Round != round {
			n.t.Errorf("for round %d node %d was sent %+v", round, follower.id, sent)
		}
	}
	return round
}

// echo answers a heartbeat of a round.
func (n *testNode) echo(from NodeID, round uint64) {
	n.Step(AppendEntriesReply{Term: n.term, From: from, To: 1, Success: true, Round: round})
}

// Thesis §6.4: a majority has to follow the leader after the read was asked for.
func TestAReadIsConfirmedByAMajority(t *testing.T) {
	n := leader(t, 5, 2, 1, 1)
	first := n.read()
	second := n.read()
	n.echo(2, second)
	n.echo(2, second)
	n.wantReads()
	n.echo(3, first)
	// Not before the leader's own first entry, after which it knows what was committed.
	n.wantReads(ReadIndex{first, 3})
	n.echo(4, second)
	n.wantReads(ReadIndex{second, 3})
	n.echo(5, second)
	n.wantReads()
}

func TestAReadSeesWhatIsCommitted(t *testing.T) {
	n := leader(t, 3, 1)
	n.Propose(commands(3)...)
	n.acknowledge(2, 4)
	n.wantCommit(4)
	n.Propose(commands(1)...)
	round := n.read()
	n.echo(3, round)
	n.wantReads(ReadIndex{round, 4})
}

func TestReadsOfOneStepShareARound(t *testing.T) {
	n := leader(t, 3, 1)
	a, _ := n.Read()
	b, _ := n.Read()
	n.ready()
	c, _ := n.Read()
	if a != b || c != a+1 {
		t.Errorf("rounds %d, %d and then %d", a, b, c)
	}
}

// What was sent before the read was asked for confirms nothing.
func TestAnEarlierRoundsEchoIsNoConfirmation(t *testing.T) {
	n := leader(t, 3, 1)
	n.HeartbeatTimeout()
	n.ready()
	n.read()
	n.echo(2, 0)
	n.wantReads()
}

func TestADeposedLeadersReadsAreLost(t *testing.T) {
	n := leader(t, 3, 1)
	round := n.read()
	asked, _ := n.Read()
	n.Step(AppendEntries{Term: 2, From: 2, To: 1})
	n.wantReads(ReadIndex{Round: round}, ReadIndex{Round: asked})
	if _, ok := n.Read(); ok {
		t.Error("a follower took a read")
	}
	n.elect()
	n.echo(2, asked) // of the term before, as far as its number goes
	n.wantReads()
	if again := n.read(); again <= asked {
		t.Errorf("round %d comes after %d", again, asked)
	}
}

func TestALoneNodeConfirmsItsReads(t *testing.T) {
	n := newTestNode(t, 1, Saved{})
	n.Timeout()
	round, _ := n.Read()
	n.wantReads(ReadIndex{round, 1})
}

func TestAFollowerEchoesTheRound(t *testing.T) {
	n := follower(t, 2, 1)
	n.wantAnswer(
		AppendEntries{Term: 2, From: 2, To: 1, PrevLogIndex: 1, PrevLogTerm: 1, Round: 7},
		AppendEntriesReply{Term: 2, From: 1, To: 2, Success: true, LogIndex: 1, Round: 7})
	n.wantAnswer(
		AppendEntries{Term: 2, From: 2, To: 1, PrevLogIndex: 5, PrevLogTerm: 1, Round: 8},
		AppendEntriesReply{Term: 2, From: 1, To: 2, LogIndex: 5, HintIndex: 1, HintTerm: 1, Round: 8})
}
