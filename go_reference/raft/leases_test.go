package raft

import (
	"reflect"
	"testing"
	"time"
)

// preVoting and checking are the settings of what the thesis adds to elections.
func preVoting(s *Settings) { s.PreVote = true }
func checking(s *Settings)  { s.CheckQuorum = true }

// -- pre-vote (thesis §9.6) --

func TestAPreCandidateAsksBeforeItEntersATerm(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{HardState: HardState{Term: 4}, Entries: entriesOf(3)}, preVoting)
	n.Timeout()
	n.wantView(PreCandidate, 4, 0)
	ready := n.ready()
	want := []Message{
		RequestVote{Term: 5, From: 1, To: 2, LastLogIndex: 1, LastLogTerm: 3, PreVote: true},
		RequestVote{Term: 5, From: 1, To: 3, LastLogIndex: 1, LastLogTerm: 3, PreVote: true},
	}
	if !reflect.DeepEqual(ready.Messages, want) || !ready.Save.Empty() || ready.Timer == 0 {
		t.Errorf("%+v", ready)
	}
	n.Step(RequestVoteReply{Term: 6, From: 3, To: 1, Granted: true, PreVote: true}) // not what it asked
	n.Step(RequestVoteReply{Term: 4, From: 3, To: 1, PreVote: true})
	n.wantView(PreCandidate, 4, 0)
	n.Step(RequestVoteReply{Term: 5, From: 3, To: 1, Granted: true, PreVote: true})
	n.wantView(Candidate, 5, 0)
	if ready := n.ready(); *ready.Save.HardState != (HardState{5, 1}) || ready.Messages[0].(RequestVote).PreVote {
		t.Errorf("%+v", ready)
	}
	// A pre-vote is no vote.
	n.Step(RequestVoteReply{Term: 5, From: 2, To: 1, Granted: true, PreVote: true})
	n.wantView(Candidate, 5, 0)
	n.Step(RequestVoteReply{Term: 5, From: 2, To: 1, Granted: true})
	n.wantView(Leader, 5, 1)
}

func TestAPreVoteIsRefusedInAHigherTerm(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{HardState: HardState{Term: 4}}, preVoting)
	n.Timeout()
	n.Step(RequestVoteReply{Term: 7, From: 2, To: 1, PreVote: true})
	n.wantView(Follower, 7, 0)
}

// Nothing is promised, so that nothing changes.
func TestAPreVoteChangesNothing(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{HardState: HardState{2, 3}, Entries: entriesOf(1, 2)}, preVoting)
	for _, c := range []struct {
		request RequestVote
		reply   RequestVoteReply
	}{
		{RequestVote{Term: 3, LastLogIndex: 2, LastLogTerm: 2}, RequestVoteReply{Term: 3, Granted: true}},
		{RequestVote{Term: 9, LastLogIndex: 2, LastLogTerm: 2}, RequestVoteReply{Term: 9, Granted: true}},
		{RequestVote{Term: 3, LastLogIndex: 9, LastLogTerm: 1}, RequestVoteReply{Term: 2}},
		{RequestVote{Term: 2, LastLogIndex: 2, LastLogTerm: 2}, RequestVoteReply{Term: 2}},
	} {
		c.request.From, c.request.To, c.request.PreVote = 2, 1, true
		c.reply.From, c.reply.To, c.reply.PreVote = 1, 2, true
		n.Step(c.request)
		ready := n.ready()
		if !reflect.DeepEqual(ready.Messages, []Message{c.reply}) || !ready.Save.Empty() || ready.Timer > 0 {
			t.Errorf("%+v got %+v", c.request, ready)
		}
	}
	n.wantView(Follower, 2, 0)
}

func TestNoPreVoteWhileALeaderIsHeard(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{HardState: HardState{Term: 2}}, preVoting)
	request := RequestVote{Term: 3, From: 2, To: 1, PreVote: true}
	n.Step(AppendEntries{Term: 2, From: 3, To: 1})
	n.ready()
	if n.granted(request) {
		t.Error("right after the leader's heartbeat")
	}
	n.Timeout() // the least election timeout has passed
	n.wantView(Follower, 2, 3)
	if !n.granted(request) {
		t.Error("refused, though the leader was not heard of for the least timeout")
	}
	n.elect()
	if n.granted(RequestVote{Term: 4, From: 2, To: 1, LastLogIndex: 9, LastLogTerm: 3, PreVote: true}) {
		t.Error("the leader itself granted one")
	}
}

// The timer runs for the least timeout first, and then for the rest of the one drawn.
func TestTheElectionTimerHasTwoLegsOnceALeaderIsHeard(t *testing.T) {
	for name, change := range map[string]func(*Settings){"pre-vote": preVoting, "check-quorum": checking} {
		t.Run(name, func(t *testing.T) {
			n := newTestNodeWith(t, 3, Saved{HardState: HardState{Term: 2}}, change)
			n.Step(AppendEntries{Term: 2, From: 3, To: 1})
			if timer := n.ready().Timer; timer != 100*time.Millisecond {
				t.Errorf("the first leg is %v", timer)
			}
			n.Timeout()
			n.wantView(Follower, 2, 3)
			drawn := n.drawn
			if timer := n.ready().Timer; timer != time.Duration(drawn)*time.Millisecond {
				t.Errorf("the second leg is %v, with %d numbers drawn", timer, drawn)
			}
			n.Timeout()
			if n.drawn != drawn+1 || n.role == Follower {
				t.Errorf("after it the node is %+v, with %d numbers drawn", n.View(), n.drawn-drawn)
			}
		})
	}
}

// -- check-quorum (thesis §6.2, §4.2.3) --

func TestALeaderThatHearsOfNoMajorityStepsDown(t *testing.T) {
	n := newTestNodeWith(t, 5, Saved{}, checking)
	n.elect()
	for range 25 { // a timeout is ten heartbeats
		n.acknowledge(2, 0)
		n.Step(AppendEntriesReply{Term: 1, From: 3, To: 1}) // a refusal is a sign of life, too
		n.HeartbeatTimeout()
		n.ready()
	}
	n.wantView(Leader, 1, 1)
	beats := 0
	for ; n.role == Leader; beats++ {
		n.acknowledge(2, 0)
		n.HeartbeatTimeout()
	}
	if beats < 10 || beats > 20 {
		t.Errorf("it stepped down after %d heartbeats", beats)
	}
	n.wantView(Follower, 1, 0)
	if timer := n.ready().Timer; timer < 100*time.Millisecond {
		t.Errorf("its timer runs for %v", timer)
	}
}

func TestALeaderGoesOnWithoutTheCheck(t *testing.T) {
	n := leader(t, 3, 1)
	for range 50 {
		n.HeartbeatTimeout()
		n.ready()
	}
	n.wantView(Leader, 1, 1)
}

func TestACandidateIsIgnoredWhileALeaderIsHeard(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{HardState: HardState{Term: 2}}, checking)
	n.Step(AppendEntries{Term: 2, From: 3, To: 1})
	n.ready()
	request := RequestVote{Term: 9, From: 2, To: 1}
	n.Step(request)
	if ready := n.ready(); len(ready.Messages) > 0 || !ready.Save.Empty() {
		t.Errorf("the candidate was answered: %+v", ready)
	}
	n.wantView(Follower, 2, 3)

	// Whom the leader itself has told to stand does not disturb.
	if transfer := (RequestVote{Term: 3, From: 2, To: 1, Transfer: true}); !n.granted(transfer) {
		t.Error("a transfer was refused")
	}
	n.Step(AppendEntries{Term: 3, From: 2, To: 1})
	n.ready()
	n.Timeout() // the first leg
	if !n.granted(request) {
		t.Error("refused, though the leader was not heard of for the least timeout")
	}
}

func TestALeaderThatIsHeardIgnoresCandidates(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{}, checking)
	n.elect()
	n.Step(RequestVote{Term: 9, From: 2, To: 1, LastLogIndex: 9, LastLogTerm: 9})
	n.wantView(Leader, 1, 1)
}

// -- leadership transfer (thesis §3.10) --

func TestALeaderHandsOverToWhoHasItsWholeLog(t *testing.T) {
	n := leader(t, 3, 1)
	n.acknowledge(2, 1)
	n.ready()
	n.Propose(commands(1)...)
	n.ready()
	if !n.Transfer(2) || n.LeaderHint() != 2 {
		t.Errorf("clients are sent to %d", n.LeaderHint())
	}
	if _, ok := n.Propose(commands(1)...); ok {
		t.Error("it takes commands all the same")
	}
	if messages := n.ready().Messages; len(messages) > 0 {
		t.Errorf("sent %+v to a node that lacks an entry", messages)
	}
	n.acknowledge(3, 2)
	n.acknowledge(2, 2)
	if messages := n.ready().Messages; !reflect.DeepEqual(messages, []Message{TimeoutNow{1, 1, 2}}) {
		t.Errorf("sent %+v", messages)
	}
	n.Step(RequestVote{Term: 2, From: 2, To: 1, LastLogIndex: 2, LastLogTerm: 1, Transfer: true})
	n.wantView(Follower, 2, 0)
	if n.LeaderHint() != 0 {
		t.Errorf("clients are sent to %d still", n.LeaderHint())
	}
}

func TestATransferThatTakesTooLongIsOver(t *testing.T) {
	n := leader(t, 3, 1)
	n.HeartbeatTimeout()
	n.Transfer(2)
	for range 9 {
		n.HeartbeatTimeout()
		if _, ok := n.Propose(commands(1)...); ok {
			t.Fatal("it takes commands before an election timeout has passed")
		}
	}
	n.HeartbeatTimeout()
	if _, ok := n.Propose(commands(1)...); !ok {
		t.Error("it does not go on")
	}
}

func TestWhoCannotBeHandedOverTo(t *testing.T) {
	n := leader(t, 3, 1)
	for _, id := range []NodeID{0, 1, 4} {
		if n.Transfer(id) {
			t.Errorf("handed over to %d", id)
		}
	}
	if f := follower(t, 1); f.Transfer(2) {
		t.Error("a follower handed over")
	}
}

func TestWhoIsHandedOverToStandsAtOnce(t *testing.T) {
	n := newTestNodeWith(t, 3, Saved{HardState: HardState{Term: 4}}, func(s *Settings) {
		s.PreVote, s.CheckQuorum = true, true
	})
	n.Step(AppendEntries{Term: 4, From: 2, To: 1})
	n.ready()
	n.Step(TimeoutNow{Term: 3, From: 3, To: 1})
	n.wantView(Follower, 4, 2)
	n.Step(TimeoutNow{Term: 4, From: 2, To: 1})
	n.wantView(Candidate, 5, 0)
	for _, message := range n.ready().Messages {
		if m := message.(RequestVote); !m.Transfer || m.PreVote {
			t.Errorf("sent %+v", m)
		}
	}
}
