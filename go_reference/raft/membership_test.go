package raft

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func (n *testNode) change(op Op, server NodeID) int {
	n.t.Helper()
	index, ok := n.Propose(MembershipCommand(op, server))
	if !ok {
		n.t.Fatal("a change of membership was not taken")
	}
	return index
}

func (n *testNode) wantMembers(want string) {
	n.t.Helper()
	if got := fmt.Sprint(*n.Configuration()); got != want {
		n.t.Errorf("the members are %s, want %s", got, want)
	}
}

// settled is a leader of term 1 that has committed its first entry.
func settled(t *testing.T, cluster int) *testNode {
	n := leader(t, cluster, 1)
	for id := 2; id <= cluster; id++ {
		n.acknowledge(NodeID(id), 1)
	}
	n.ready()
	return n
}

// Thesis §4.2.1: a learner first, that counts for nothing.
func TestANewServerBeginsAsALearner(t *testing.T) {
	n := settled(t, 3)
	index := n.change(AddServer, 4)
	n.wantMembers("{[1 2 3] [4]}")
	n.HeartbeatTimeout()
	if sent := sentTo(4, n.ready().Messages); len(sent) != 1 || sent[0].PrevLogIndex != index {
		t.Errorf("it was sent %+v", sent)
	}
	n.acknowledge(4, index)
	n.wantCommit(1)
	n.acknowledge(2, index)
	n.wantCommit(2)
	n.ElectionTimeout()
	n.Step(RequestVoteReply{Term: 2, From: 4, To: 1, Granted: true})
	n.wantView(Candidate, 2, 0)
}

// Thesis §4.2: it may be one by entries that are not here yet.
func TestACandidateThatIsNoMemberHereGetsVotes(t *testing.T) {
	if n := follower(t, 1); !n.granted(RequestVote{Term: 2, From: 4, To: 1}) {
		t.Error("refused")
	}
}

func TestALearnerThatKeepsUpIsPromoted(t *testing.T) {
	n := settled(t, 3)
	n.change(AddServer, 4)
	n.acknowledge(2, 2)
	n.HeartbeatTimeout()
	n.Propose(commands(1)...)
	n.HeartbeatTimeout()
	n.acknowledge(4, 2)
	n.wantMembers("{[1 2 3] [4]}") // it lacks what was there a heartbeat ago
	n.acknowledge(4, 3)
	n.HeartbeatTimeout()
	n.wantMembers("{[1 2 3 4] []}")
	// Three of four are a majority, and the learner is one of them now.
	n.acknowledge(2, 4)
	n.wantCommit(3)
	n.acknowledge(4, 4)
	n.wantCommit(4)
}

func TestALearnerNeitherStandsNorCounts(t *testing.T) {
	snapshot := snapshotAt(3, 1, 0)
	snapshot.Configuration = Configuration{Voters: []NodeID{2, 3}, Learners: []NodeID{1}}
	n := newTestNode(t, 3, Saved{HardState: HardState{Term: 1}, Snapshot: snapshot})
	n.Step(AppendEntries{Term: 1, From: 2, To: 1, PrevLogIndex: 3, PrevLogTerm: 1})
	n.ready()
	n.Timeout()
	n.wantView(Follower, 1, 0)
	if ready := n.ready(); len(ready.Messages) > 0 || ready.Timer == 0 {
		t.Errorf("%+v", ready)
	}
	n.Step(TimeoutNow{Term: 1, From: 2, To: 1})
	n.wantView(Follower, 1, 0)
}

// Thesis §4.1, with the correction of 2015.
func TestOneChangeAtATime(t *testing.T) {
	n := leader(t, 3, 1)
	replaced := func(index int) bool { return n.log.Slice(index, index)[0].Command.Op == Noop }
	if !replaced(n.change(AddServer, 4)) {
		t.Error("a change before an entry of the term was committed")
	}
	n.acknowledge(2, 2)
	first := n.change(AddServer, 4)
	if replaced(first) || !replaced(n.change(AddServer, 5)) {
		t.Error("a second change while one is under way")
	}
	n.acknowledge(2, first+1)
	for _, c := range []struct {
		op     Op
		server NodeID
	}{{AddServer, 4}, {AddServer, 1}, {PromoteServer, 2}, {PromoteServer, 5}, {RemoveServer, 5}} {
		if !replaced(n.change(c.op, c.server)) {
			t.Errorf("%s %d made it into the log", c.op, c.server)
		}
	}
	n.wantMembers("{[1 2 3] [4]}")
	both := []*Command{MembershipCommand(RemoveServer, 4), MembershipCommand(RemoveServer, 3)}
	n.acknowledge(2, n.log.LastIndex())
	if index, _ := n.Propose(both...); replaced(index) || !replaced(index+1) {
		t.Error("two changes in one step")
	}
}

func TestTheLastVoterStays(t *testing.T) {
	n := newTestNode(t, 1, Saved{})
	n.Timeout()
	n.change(RemoveServer, 1)
	n.wantMembers("{[1] []}")
}

// §5.3: of what is deleted from the log nothing stays.
func TestATruncatedConfigurationIsRolledBack(t *testing.T) {
	n := follower(t, 2, 1)
	add := Entry{2, MembershipCommand(AddServer, 4)}
	n.Step(AppendEntries{Term: 2, From: 2, To: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: []Entry{add, {2, MembershipCommand(RemoveServer, 3)}}})
	n.wantMembers("{[1 2] [4]}")
	n.ready()
	n.Step(AppendEntries{Term: 3, From: 3, To: 1, PrevLogIndex: 2, PrevLogTerm: 2, Entries: entriesOf(3)})
	n.wantMembers("{[1 2 3] [4]}")
	n.Step(AppendEntries{Term: 4, From: 3, To: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(4)})
	n.wantMembers("{[1 2 3] []}")
	n.ready()
	saved, err := n.saving.Load()
	must(t, err)
	newTestNode(t, 3, saved).wantMembers("{[1 2 3] []}")
}

func TestANewLifeKnowsItsMembers(t *testing.T) {
	n := settled(t, 3)
	n.change(AddServer, 4)
	n.acknowledge(2, 2)
	n.ready()
	for _, compact := range []bool{false, true} {
		if compact {
			n.TakeSnapshot(nil, false)
			n.change(RemoveServer, 3)
			n.ready()
		}
		saved, err := n.saving.Load()
		must(t, err)
		newTestNode(t, 3, saved).wantMembers(map[bool]string{false: "{[1 2 3] [4]}", true: "{[1 2] [4]}"}[compact])
	}
	if got := n.Snapshot().Configuration; !reflect.DeepEqual(got, Configuration{[]NodeID{1, 2, 3}, []NodeID{4}}) {
		t.Errorf("the snapshot's members are %v", got)
	}
}

// Thesis §4.2.2: a leader manages a cluster that it is no part of, until that is committed.
func TestALeaderThatIsRemovedGoesWhenThatIsCommitted(t *testing.T) {
	n := settled(t, 4)
	index := n.change(RemoveServer, 1)
	n.wantView(Leader, 1, 1)
	n.ready()
	n.acknowledge(3, index)
	n.wantCommit(index - 1) // two of three, of which it is none
	n.wantView(Leader, 1, 1)
	n.acknowledge(2, index-1)
	n.acknowledge(4, index)
	n.wantCommit(index)
	n.wantView(Follower, 1, 0)
	ready := n.ready()
	if !reflect.DeepEqual(ready.Messages, []Message{TimeoutNow{1, 1, 3}}) || len(ready.Committed) != 1 {
		t.Errorf("%+v", ready)
	}
	n.Timeout()
	n.wantView(Follower, 1, 0)
}

// Thesis §4.2.2: before that it may have to lead again, or nobody could.
func TestAServerStandsUntilItsRemovalIsCommitted(t *testing.T) {
	n := follower(t, 1, 1)
	n.Step(AppendEntries{Term: 1, From: 2, To: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: []Entry{{1, MembershipCommand(RemoveServer, 1)}}, LeaderCommit: 1})
	n.ready()
	n.Timeout()
	n.wantView(Candidate, 2, 0)
	n.Step(RequestVoteReply{Term: 2, From: 2, To: 1, Granted: true})
	n.wantView(Candidate, 2, 0) // its own vote does not count
	n.Step(RequestVoteReply{Term: 2, From: 3, To: 1, Granted: true})
	n.wantView(Leader, 2, 1)
}

func TestFollowersAreSpokenToInOrder(t *testing.T) {
	n := settled(t, 5)
	n.change(RemoveServer, 3)
	for id := range NodeID(5) {
		n.acknowledge(id+1, 2)
	}
	n.change(AddServer, 3)
	n.HeartbeatTimeout()
	var to []NodeID
	for _, message := range n.ready().Messages {
		to = append(to, message.Recipient())
	}
	if want := []NodeID{2, 4, 5, 3}; !slices.Equal(to, want) {
		t.Errorf("to %v, want %v", to, want)
	}
}

// Thesis §4.2.3: by its log it is a voter, and whom it asks would follow its term.
func TestAServerThatComesBackStandsOnlyOnceItWasAdded(t *testing.T) {
	for name, saved := range map[string]Saved{
		"with its log":      {HardState: HardState{Term: 1}, Entries: entriesOf(1, 1)},
		"with an empty one": {},
		"with its removal in it": {HardState: HardState{Term: 1}, Entries: append(entriesOf(1, 1),
			Entry{1, MembershipCommand(RemoveServer, 1)})},
	} {
		n := newTestNode(t, 3, saved)
		n.Join()
		n.Timeout()
		n.Timeout()
		n.Step(TimeoutNow{Term: 1, From: 2, To: 1})
		for _, message := range n.ready().Messages {
			t.Errorf("%s it sends %+v", name, message)
		}
		added := append(entriesOf(1, 1),
			Entry{1, MembershipCommand(RemoveServer, 1)}, Entry{1, MembershipCommand(AddServer, 1)})
		n.Step(AppendEntries{Term: 1, From: 2, To: 1, Entries: added})
		n.wantMembers("{[2 3] [1]}")
		n.Step(AppendEntries{Term: 1, From: 2, To: 1, PrevLogIndex: 4, PrevLogTerm: 1,
			Entries: []Entry{{1, MembershipCommand(PromoteServer, 1)}}})
		n.wantMembers("{[1 2 3] []}")
		n.ready()
		n.Timeout()
		n.wantView(Candidate, 2, 0)
	}
}
