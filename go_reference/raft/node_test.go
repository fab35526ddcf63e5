package raft

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// A testNode is a node whose outputs a test looks at one by one. Its timeouts count up from
// 101 ms, so that each can be told from the last.
type testNode struct {
	*Node
	t      *testing.T
	drawn  int
	saving *MemoryStorage
}

func newTestNode(t *testing.T, cluster int, saved Saved) *testNode {
	return newTestNodeWith(t, cluster, saved, func(*Settings) {})
}

// newTestNodeWith is newTestNode with some of the settings changed.
func newTestNodeWith(t *testing.T, cluster int, saved Saved, change func(*Settings)) *testNode {
	n := &testNode{t: t, saving: NewMemoryStorage()}
	settings := Settings{
		ElectionTimeout: Range{100 * time.Millisecond, 1100 * time.Millisecond},
		Heartbeat:       10 * time.Millisecond,
		MaxBytes:        DefaultMaxBytes,
		MaxEntries:      4,
		Window:          2,
	}
	for id := range cluster {
		settings.Nodes = append(settings.Nodes, NodeID(id+1))
	}
	change(&settings)
	first := saved.lastIndex() - len(saved.Entries) + 1
	if err := n.saving.Save(Save{&saved.HardState, first, saved.Entries, saved.Snapshot, nil}); err != nil {
		t.Fatal(err)
	}
	n.Node = NewNode(1, settings, func() float64 { n.drawn++; return float64(n.drawn) / 1000 }, saved)
	n.Ready()
	return n
}

// follower is node 1 of three, a follower in the given term with a log of these terms.
func follower(t *testing.T, term uint64, terms ...uint64) *testNode {
	return newTestNode(t, 3, Saved{HardState: HardState{Term: term}, Entries: entriesOf(terms...)})
}

// leader is node 1, elected in the given term on top of a log of these terms; its first
// messages are gone.
func leader(t *testing.T, cluster int, term uint64, terms ...uint64) *testNode {
	t.Helper()
	n := newTestNode(t, cluster, Saved{HardState: HardState{Term: term - 1}, Entries: entriesOf(terms...)})
	n.elect()
	return n
}

// elect lets the node win an election in its next term; its first messages are gone.
func (n *testNode) elect() {
	n.t.Helper()
	term, voters := n.term+1, n.configuration.Voters
	n.ElectionTimeout()
	for _, pre := range []bool{true, false} {
		if !pre || n.role == PreCandidate {
			for _, id := range voters[:len(voters)/2+1] {
				n.Step(RequestVoteReply{Term: term, From: id, To: 1, Granted: true, PreVote: pre})
			}
		}
	}
	n.wantView(Leader, term, 1)
	n.ready()
}

func (n *testNode) wantView(role Role, term uint64, leader NodeID) {
	n.t.Helper()
	if got, want := n.View(), (View{role, term, leader}); got != want {
		n.t.Fatalf("the node is %+v, want %+v", got, want)
	}
}

func (n *testNode) wantCommit(index int) {
	n.t.Helper()
	if n.CommitIndex() != index {
		n.t.Fatalf("committed up to %d, want %d", n.CommitIndex(), index)
	}
}

// ready takes the node's output; the storage keeps what is to be saved.
func (n *testNode) ready() Ready {
	n.t.Helper()
	ready := n.Ready()
	if err := n.saving.Save(ready.Save); err != nil {
		n.t.Fatal(err)
	}
	ready.Messages = slices.Clone(ready.Messages)
	return ready
}

// answer steps a message and returns the one that answers it.
func (n *testNode) answer(message Message) Message {
	n.t.Helper()
	n.Step(message)
	messages := n.ready().Messages
	if len(messages) != 1 {
		n.t.Fatalf("%+v got %d answers", message, len(messages))
	}
	return messages[0]
}

func (n *testNode) wantAnswer(message, want Message) {
	n.t.Helper()
	if got := n.answer(message); !reflect.DeepEqual(got, want) {
		n.t.Errorf("answered\n\t%+v, want\n\t%+v", got, want)
	}
}

func (n *testNode) granted(m RequestVote) bool {
	n.t.Helper()
	return n.answer(m).(RequestVoteReply).Granted
}

func (n *testNode) acknowledge(from NodeID, index int) {
	n.Step(AppendEntriesReply{Term: n.term, From: from, To: 1, Success: true, LogIndex: index})
}

// sentTo are the AppendEntries to one peer.
func sentTo(peer NodeID, messages []Message) []AppendEntries {
	var sent []AppendEntries
	for _, message := range messages {
		if m, ok := message.(AppendEntries); ok && m.To == peer {
			sent = append(sent, m)
		}
	}
	return sent
}

func commands(count int) []*Command {
	commands := make([]*Command, count)
	for i := range commands {
		commands[i] = &Command{Op: Set, Key: "k", Value: new("v")}
	}
	return commands
}

// -- elections (§5.2, §5.4.1) --

// §5.2, and figure 2: a candidate that forgot its own vote could give it again.
func TestATimeoutBeginsAnElection(t *testing.T) {
	n := follower(t, 4, 1, 3)
	n.Timeout()
	n.wantView(Candidate, 5, 0)
	ready := n.ready()
	want := []Message{
		RequestVote{Term: 5, From: 1, To: 2, LastLogIndex: 2, LastLogTerm: 3},
		RequestVote{Term: 5, From: 1, To: 3, LastLogIndex: 2, LastLogTerm: 3},
	}
	if !reflect.DeepEqual(ready.Messages, want) {
		t.Errorf("sent %+v", ready.Messages)
	}
	if ready.Timer == 0 {
		t.Error("an election needs a timeout too")
	}
	// Both are to be saved before RequestVote leaves.
	if got := ready.Save.HardState; got == nil || *got != (HardState{5, 1}) {
		t.Errorf("saved %+v with RequestVote", got)
	}
}

// §5.2, §9.3: a timeout that stays the same would repeat every split vote.
func TestEveryElectionDrawsItsTimeoutAnew(t *testing.T) {
	n := follower(t, 0)
	seen := map[time.Duration]bool{}
	for range 10 {
		n.Timeout()
		seen[n.ready().Timer] = true
	}
	if len(seen) != 10 {
		t.Errorf("10 elections had %d different timeouts", len(seen))
	}
}

func TestATimeoutThatTheSameStepRestartsIsIgnored(t *testing.T) {
	n := follower(t, 3)
	n.Step(AppendEntries{Term: 3, From: 2, To: 1})
	n.Timeout()
	n.wantView(Follower, 3, 2)
}

// §5.2: more than half of the servers, also where their number is even.
func TestAMajorityElects(t *testing.T) {
	for cluster, votes := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 5: 2} {
		n := newTestNode(t, cluster, Saved{})
		n.Timeout()
		for id := range votes {
			n.wantView(Candidate, 1, 0)
			n.Step(RequestVoteReply{Term: 1, From: NodeID(id + 2), To: 1, Granted: true})
		}
		n.wantView(Leader, 1, 1)
	}
}

// §5.1, §5.2: a candidate needs the votes of its term, of a majority of the servers.
func TestVotesThatDoNotCount(t *testing.T) {
	n := newTestNode(t, 5, Saved{HardState: HardState{Term: 6}})
	n.Timeout()
	n.Step(RequestVoteReply{Term: 7, From: 2, To: 1, Granted: true})
	n.Step(RequestVoteReply{Term: 7, From: 2, To: 1, Granted: true})  // the same peer again
	n.Step(RequestVoteReply{Term: 6, From: 3, To: 1, Granted: true})  // of an earlier term
	n.Step(RequestVoteReply{Term: 7, From: 4, To: 1, Granted: false}) // refused
	n.wantView(Candidate, 7, 0)
	n.Step(RequestVoteReply{Term: 7, From: 5, To: 1, Granted: true})
	n.wantView(Leader, 7, 1)
}

// §5.2: a majority of the servers, not of the replies.
func TestTwoRepliesFromOnePeerCountOnce(t *testing.T) {
	n := newTestNode(t, 5, Saved{})
	n.Timeout()
	for range 3 {
		n.Step(RequestVoteReply{Term: 1, From: 2, To: 1, Granted: true})
	}
	n.wantView(Candidate, 1, 0)
	n.Step(RequestVoteReply{Term: 1, From: 3, To: 1, Granted: true})
	n.wantView(Leader, 1, 1)
	for range 3 {
		n.acknowledge(2, 1)
	}
	n.wantCommit(0)
	n.acknowledge(3, 1)
	n.wantCommit(1)
}

// §5.1, §5.2: a vote is for one term.
func TestAnEarlierTermsVoteIsIgnored(t *testing.T) {
	n := follower(t, 6)
	n.Timeout()
	n.ready()
	n.Timeout()
	n.Step(RequestVoteReply{Term: 7, From: 2, To: 1, Granted: true})
	n.wantView(Candidate, 8, 0)
}

// §5.2, figure 2.
func TestOneVoteATerm(t *testing.T) {
	n := follower(t, 2)
	vote := func(term uint64, from NodeID) bool {
		return n.granted(RequestVote{Term: term, From: from, To: 1})
	}
	if !vote(3, 2) {
		t.Error("the first candidate was refused")
	}
	if !vote(3, 2) {
		t.Error("the same candidate was refused when its request came again")
	}
	if vote(3, 3) {
		t.Error("a second candidate was granted the same term's vote")
	}
	if vote(2, 3) {
		t.Error("a candidate of an earlier term was granted a vote")
	}
	if !vote(4, 3) {
		t.Error("the vote was not cleared by a higher term")
	}
}

// §5.1, §5.5: a reply may be lost, and RPCs are idempotent; a restart changes nothing.
func TestARepeatedRequestVoteIsGrantedAgain(t *testing.T) {
	n := follower(t, 2)
	request := RequestVote{Term: 3, From: 2, To: 1}
	for range 2 {
		if !n.granted(request) {
			t.Fatal("the candidate was refused what it may have been granted")
		}
	}
	saved, _ := n.saving.Load()
	if n = newTestNode(t, 3, saved); !n.granted(request) {
		t.Error("after a restart the candidate was refused")
	}
}

// Figure 2: persistent state is on stable storage before a server responds.
func TestTermAndVoteAreSavedWithTheReply(t *testing.T) {
	n := follower(t, 2)
	n.Step(RequestVote{Term: 3, From: 2, To: 1})
	ready := n.ready()
	if got := ready.Save.HardState; got == nil || *got != (HardState{3, 2}) || len(ready.Messages) != 1 {
		t.Errorf("saved %+v with %+v", got, ready.Messages)
	}
	if again := n.ready(); !again.Save.Empty() || len(again.Messages) > 0 || again.Timer > 0 {
		t.Errorf("handed out twice: %+v", again)
	}
}

// Figure 2: the vote is persistent by itself, not only with the term.
func TestAVoteInTheSameTermIsSavedToo(t *testing.T) {
	n := follower(t, 2)
	n.Step(RequestVote{Term: 2, From: 3, To: 1})
	if got := n.ready().Save.HardState; got == nil || *got != (HardState{2, 3}) {
		t.Errorf("saved %+v", got)
	}
}

// §5.2, figure 2: at most one vote a term.
func TestSteppingDownInTheSameTermKeepsTheVote(t *testing.T) {
	n := follower(t, 2)
	n.Timeout() // votes for itself in term 3
	n.ready()
	n.Step(AppendEntries{Term: 3, From: 2, To: 1})
	n.wantView(Follower, 3, 2)
	n.ready()
	if n.granted(RequestVote{Term: 3, From: 3, To: 1}) {
		t.Error("it voted twice in term 3")
	}
}

// §5.2: another server won this election; late votes make no second leader of the term.
func TestACandidateStepsDownOnASameTermAppendEntries(t *testing.T) {
	n := follower(t, 2)
	n.Timeout()
	n.wantView(Candidate, 3, 0)
	n.Step(AppendEntries{Term: 3, From: 2, To: 1})
	n.wantView(Follower, 3, 2)
	n.Step(RequestVoteReply{Term: 3, From: 3, To: 1, Granted: true})
	n.wantView(Follower, 3, 2)
}

// §5.4.1
func TestAVoteNeedsAnUpToDateLog(t *testing.T) {
	for _, c := range []struct {
		index int
		term  uint64
		want  bool
	}{{3, 2, true}, {2, 2, false}, {9, 1, false}, {1, 3, true}} {
		n := follower(t, 3, 1, 1, 2)
		if got := n.granted(RequestVote{Term: 4, From: 2, To: 1, LastLogIndex: c.index, LastLogTerm: c.term}); got != c.want {
			t.Errorf("a log that ends at %d in term %d: granted %v", c.index, c.term, got)
		}
		n.wantView(Follower, 4, 0)
	}
}

// §5.4.1: a node that was cut off comes back with a high term and a short log: it deposes
// the leader, but cannot win.
func TestARejoiningNodeWithAShortLogCannotWin(t *testing.T) {
	n := leader(t, 3, 2, 1, 1)
	if n.granted(RequestVote{Term: 9, From: 3, To: 1, LastLogIndex: 2, LastLogTerm: 1}) {
		t.Error("a node without the leader's entry was granted a vote")
	}
	n.wantView(Follower, 9, 0)
	n.Timeout()
	n.wantView(Candidate, 10, 0)
}

// §5.2, figure 2 (followers): a granted vote and the current leader, and nothing else.
func TestWhatRestartsTheElectionTimer(t *testing.T) {
	for name, c := range map[string]struct {
		message Message
		want    bool
	}{
		"a granted vote":               {RequestVote{Term: 5, From: 2, To: 1, LastLogIndex: 1, LastLogTerm: 5}, true},
		"a vote refused for its log":   {RequestVote{Term: 6, From: 2, To: 1, LastLogIndex: 0, LastLogTerm: 0}, false},
		"a vote refused for its term":  {RequestVote{Term: 4, From: 2, To: 1, LastLogIndex: 9, LastLogTerm: 9}, false},
		"the leader's heartbeat":       {AppendEntries{Term: 5, From: 2, To: 1, PrevLogIndex: 1, PrevLogTerm: 5}, true},
		"the leader's, rejected":       {AppendEntries{Term: 5, From: 2, To: 1, PrevLogIndex: 7, PrevLogTerm: 5}, true},
		"a former leader's heartbeat":  {AppendEntries{Term: 4, From: 2, To: 1}, false},
		"a vote that nobody asked for": {RequestVoteReply{Term: 5, From: 2, To: 1, Granted: true}, false},
		"an answer to a former leader": {AppendEntriesReply{Term: 5, From: 2, To: 1, Success: true}, false},
		"a reply from a later term":    {RequestVoteReply{Term: 6, From: 2, To: 1, Granted: false}, false},
		"an answer from a later term":  {AppendEntriesReply{Term: 6, From: 2, To: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := follower(t, 5, 5)
			n.Step(c.message)
			if got := n.ready().Timer > 0; got != c.want {
				t.Errorf("restarted: %v", got)
			}
		})
	}
}

func TestADeposedLeaderWaitsForAnElectionAgain(t *testing.T) {
	n := leader(t, 3, 2)
	n.Step(RequestVoteReply{Term: 3, From: 2, To: 1})
	n.wantView(Follower, 3, 0)
	if timer := n.ready().Timer; timer < 100*time.Millisecond {
		t.Errorf("the timer that runs is %v: a heartbeat's", timer)
	}
}

// -- replication (§5.3) --

func TestANewLeaderAppendsANoopAndSaysSo(t *testing.T) {
	n := newTestNode(t, 3, Saved{Entries: entriesOf(1)})
	n.Timeout()
	n.Step(RequestVoteReply{Term: 1, From: 3, To: 1, Granted: true})
	ready := n.ready()
	for _, peer := range []NodeID{2, 3} {
		sent := sentTo(peer, ready.Messages)
		if len(sent) != 1 || len(sent[0].Entries) != 1 || sent[0].Entries[0].Command.Op != Noop ||
			sent[0].PrevLogIndex != 1 || sent[0].PrevLogTerm != 1 {
			t.Errorf("node %d was sent %+v", peer, sent)
		}
	}
	if ready.Timer != 10*time.Millisecond {
		t.Errorf("the timer runs for %v, not for a heartbeat", ready.Timer)
	}
	if save := ready.Save; save.FirstIndex != 2 || len(save.Entries) != 1 {
		t.Errorf("saved %+v", save)
	}
}

// §5.3, figure 2: entries are saved before they are acknowledged.
func TestAFollowerTakesEntriesAndSavesThem(t *testing.T) {
	n := follower(t, 2, 1, 1)
	n.Step(AppendEntries{
		Term: 2, From: 3, To: 1, PrevLogIndex: 2, PrevLogTerm: 1, Entries: entriesOf(2, 2), LeaderCommit: 3,
	})
	ready := n.ready()
	want := AppendEntriesReply{Term: 2, From: 1, To: 3, Success: true, LogIndex: 4}
	if !reflect.DeepEqual(ready.Messages, []Message{want}) {
		t.Errorf("answered %+v", ready.Messages)
	}
	if ready.Save.FirstIndex != 3 || !slices.Equal(termsOf(ready.Save.Entries), []uint64{2, 2}) {
		t.Errorf("saved %+v", ready.Save)
	}
	if !slices.Equal(termsOf(ready.Committed), []uint64{1, 1, 2}) {
		t.Errorf("to be applied: %v", termsOf(ready.Committed))
	}
	n.wantView(Follower, 2, 3)
}

func TestARefusalTellsWhereTheLogsCouldMatch(t *testing.T) {
	n := follower(t, 6, 1, 1, 4, 4)
	n.wantAnswer(
		AppendEntries{Term: 6, From: 2, To: 1, PrevLogIndex: 4, PrevLogTerm: 3},
		AppendEntriesReply{Term: 6, From: 1, To: 2, LogIndex: 4, HintIndex: 2, HintTerm: 1})
	n.wantAnswer(
		AppendEntries{Term: 6, From: 2, To: 1, PrevLogIndex: 9, PrevLogTerm: 5},
		AppendEntriesReply{Term: 6, From: 1, To: 2, LogIndex: 9, HintIndex: 4, HintTerm: 4})
	n.wantAnswer(
		AppendEntries{Term: 5, From: 3, To: 1, PrevLogIndex: 4, PrevLogTerm: 4},
		AppendEntriesReply{Term: 6, From: 1, To: 3, LogIndex: 4})
}

// Log repair goes back by terms: two round trips here, not one for each of ten entries.
func TestLogRepairSkipsWholeTerms(t *testing.T) {
	leader := leader(t, 3, 9, 1, 1, 1, 5, 5, 5, 6, 6, 6)
	follower := newTestNode(t, 3, Saved{
		HardState: HardState{Term: 8},
		Entries:   entriesOf(1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3),
	})
	follower.id = 2
	leader.HeartbeatTimeout()
	trips := 0
	for leader.followers[0].matchIndex < leader.log.LastIndex() {
		trips++
		for _, m := range sentTo(2, leader.ready().Messages) {
			leader.Step(follower.answer(m))
		}
		if trips == 10 {
			t.Fatal("the logs do not come to match")
		}
	}
	if trips > 5 {
		t.Errorf("repair took %d round trips", trips)
	}
	checkTerms(t, follower.log, termsOf(leader.log.Slice(1, 99))...)
	saved, _ := follower.saving.Load()
	if !slices.Equal(termsOf(saved.Entries), termsOf(leader.log.Slice(1, 99))) {
		t.Errorf("saved were terms %v", termsOf(saved.Entries))
	}
}

// §5.3, figure 2 (AppendEntries 3): only a conflict deletes entries.
func TestADelayedShorterAppendEntriesRemovesNothing(t *testing.T) {
	n := follower(t, 2, 1, 2, 2)
	n.Step(AppendEntries{Term: 2, From: 3, To: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: n.log.Slice(2, 2)})
	checkTerms(t, n.log, 1, 2, 2)
	if ready := n.ready(); !ready.Save.Empty() {
		t.Errorf("saved %+v, though nothing was new", ready.Save)
	}
}

// §5.3, figure 2 (AppendEntries 3): in memory and in the storage.
func TestATrueConflictDeletesTheWholeTail(t *testing.T) {
	n := follower(t, 2, 1, 1, 2, 2, 2)
	n.Step(AppendEntries{Term: 3, From: 2, To: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: entriesOf(1, 3)})
	checkTerms(t, n.log, 1, 1, 3)
	n.ready()
	saved, _ := n.saving.Load()
	checkTerms(t, newTestNode(t, 3, saved).log, 1, 1, 3)
}

// Figure 2, AppendEntries 5: the commit index is bounded by what this message vouches for.
func TestTheCommitIndexStopsAtTheLastEntryReceived(t *testing.T) {
	n := follower(t, 3, 1, 1, 2, 2) // entries 3 and 4 may not be the leader's
	n.Step(AppendEntries{Term: 3, From: 2, To: 1, PrevLogIndex: 1, PrevLogTerm: 1, Entries: n.log.Slice(2, 2), LeaderCommit: 4})
	n.wantCommit(2)
	n.Step(AppendEntries{Term: 3, From: 2, To: 1, LeaderCommit: 1})
	n.wantCommit(2)
}

// Figure 2 (volatile state): it increases monotonically, and never passes the log's end.
func TestTheCommitIndexNeverFallsNorPassesTheLogsEnd(t *testing.T) {
	n := follower(t, 1, 1, 1, 1)
	n.Step(AppendEntries{Term: 1, From: 2, To: 1, PrevLogIndex: 3, PrevLogTerm: 1, LeaderCommit: 9})
	n.wantCommit(3)
	for _, prev := range []int{3, 0} {
		terms := []uint64{0, 1, 1, 1}
		n.Step(AppendEntries{Term: 1, From: 2, To: 1, PrevLogIndex: prev, PrevLogTerm: terms[prev], LeaderCommit: 1})
		n.wantCommit(3)
	}
}

// §5.3, figure 2 (all servers): whatever the order in which news of commits arrives.
func TestEntriesAreHandedOutForApplyingOnceAndInOrder(t *testing.T) {
	n := follower(t, 1, 1, 1, 1, 1)
	var applied []Entry
	for _, commit := range []int{0, 2, 1, 2, 4, 3} {
		n.Step(AppendEntries{Term: 1, From: 2, To: 1, PrevLogIndex: 4, PrevLogTerm: 1, LeaderCommit: commit})
		applied = append(applied, n.ready().Committed...)
	}
	if !slices.Equal(applied, n.log.Slice(1, 4)) {
		t.Errorf("applied %d entries", len(applied))
	}
}

// §5.3, figure 2: what a server has applied is volatile. Its next life begins from nothing,
// and hears anew what is committed.
func TestANewLifeAppliesAllAgain(t *testing.T) {
	n := follower(t, 1, 1, 1, 1, 1)
	heartbeat := AppendEntries{Term: 1, From: 2, To: 1, PrevLogIndex: 4, PrevLogTerm: 1, LeaderCommit: 3}
	for range 2 {
		if applied := n.ready().Committed; len(applied) != 0 {
			t.Errorf("before it heard of a leader it applied %d entries", len(applied))
		}
		n.Step(heartbeat)
		if applied := n.ready().Committed; !slices.Equal(applied, n.log.Slice(1, 3)) {
			t.Errorf("it applied %d entries", len(applied))
		}
		saved, _ := n.saving.Load()
		n = newTestNode(t, 3, saved)
	}
}

func TestCommandsOfOneStepAreOneMessageAFollower(t *testing.T) {
	n := leader(t, 3, 1)
	n.acknowledge(2, 1)
	n.acknowledge(3, 1)
	first, ok := n.Propose(commands(2)...)
	if second, _ := n.Propose(commands(1)...); !ok || first != 2 || second != 4 {
		t.Errorf("proposed at %d and %d", first, second)
	}
	ready := n.ready()
	for _, peer := range []NodeID{2, 3} {
		if sent := sentTo(peer, ready.Messages); len(sent) != 1 || len(sent[0].Entries) != 3 {
			t.Errorf("node %d was sent %+v", peer, sent)
		}
	}
	if len(ready.Save.Entries) != 3 {
		t.Errorf("saved %+v", ready.Save)
	}
}

// §5.3: each begins where the one before it ended, and none exceeds the limit.
func TestBatchesAreBoundedAndContiguous(t *testing.T) {
	n := leader(t, 3, 1)
	n.acknowledge(2, 1)
	n.ready()
	n.Propose(commands(11)...) // of at most 4, two under way
	next := 2
	for round := range 3 {
		for _, m := range sentTo(2, n.ready().Messages) {
			if m.PrevLogIndex != next-1 || len(m.Entries) == 0 || len(m.Entries) > 4 {
				t.Fatalf("round %d: after index %d came %d entries", round, m.PrevLogIndex, len(m.Entries))
			}
			next += len(m.Entries)
		}
		if want := []int{10, 13, 13}[round]; next != want {
			t.Fatalf("round %d: sent up to %d, want %d", round, next-1, want-1)
		}
		n.acknowledge(2, next-1)
	}
}

func TestAFullWindowStillGetsHeartbeats(t *testing.T) {
	n := leader(t, 3, 1)
	n.HeartbeatTimeout()
	n.ready()
	n.HeartbeatTimeout()
	if sent := sentTo(2, n.ready().Messages); len(sent) != 1 {
		t.Errorf("a follower that does not answer was sent %+v", sent)
	}
}

// §5.3
func TestOnlyAMajorityCommits(t *testing.T) {
	n := leader(t, 5, 1)
	n.Propose(commands(1)...)
	n.acknowledge(2, 2)
	n.acknowledge(2, 2) // the same peer again
	n.wantCommit(0)
	n.acknowledge(3, 1)
	n.wantCommit(1)
	n.acknowledge(4, 2)
	n.wantCommit(2)
}

// §5.3: however often it tries.
func TestALeaderThatReachesOnlyAMinorityCommitsNothing(t *testing.T) {
	n := leader(t, 5, 1)
	n.Propose(commands(1)...)
	for range 5 {
		n.Timeout()
		for _, m := range sentTo(2, n.ready().Messages) {
			n.acknowledge(2, m.PrevLogIndex+len(m.Entries))
		}
		n.wantCommit(0)
	}
	if match := n.followers[0].matchIndex; match != 2 {
		t.Fatalf("the one follower has entries up to %d", match)
	}
	n.acknowledge(5, 2)
	n.wantCommit(2)
}

// §5.3: the match index is kept for each server.
func TestEachAcknowledgementCountsForThePeerThatSentIt(t *testing.T) {
	n := leader(t, 5, 2, 1, 1, 1, 1)
	n.acknowledge(4, 5)
	n.Step(AppendEntriesReply{Term: 2, From: 3, To: 1, LogIndex: 4, HintIndex: 2, HintTerm: 1})
	n.wantCommit(0)
	n.Timeout()
	messages := n.ready().Messages
	for peer, want := range map[NodeID]int{2: 4, 3: 2, 4: 5, 5: 4} {
		if sent := sentTo(peer, messages); len(sent) != 1 || sent[0].PrevLogIndex != want {
			t.Errorf("node %d was sent %+v, want what follows %d", peer, sent, want)
		}
	}
	n.acknowledge(3, 5)
	n.wantCommit(5)
}

// §5.2, §5.3: two halves of a cluster must not decide something each.
func TestHalfOfAnEvenClusterIsNoMajority(t *testing.T) {
	n := newTestNode(t, 4, Saved{})
	n.Timeout()
	n.Step(RequestVoteReply{Term: 1, From: 2, To: 1, Granted: true})
	n.wantView(Candidate, 1, 0)
	n = leader(t, 4, 1)
	n.acknowledge(2, 1)
	n.wantCommit(0)
	n.acknowledge(4, 1)
	n.wantCommit(1)
}

// §5.4.2, figure 8: an entry of an earlier term is committed only beneath one of the leader's own.
func TestCountingReplicasCommitsOnlyTheLeadersTerm(t *testing.T) {
	n := leader(t, 5, 4, 1, 2)
	n.acknowledge(2, 2)
	n.acknowledge(3, 2)
	n.acknowledge(4, 2)
	n.wantCommit(0)
	n.acknowledge(2, 3)
	n.acknowledge(3, 3)
	n.wantCommit(3)
}

func TestALoneNodeCommitsByItself(t *testing.T) {
	n := newTestNode(t, 1, Saved{})
	n.Timeout()
	n.Propose(commands(2)...)
	ready := n.ready()
	if len(ready.Committed) != 3 || len(ready.Save.Entries) != 3 || len(ready.Messages) > 0 {
		t.Errorf("%+v", ready)
	}
}

// §5.1, §5.2: they answer what this server no longer is.
func TestRepliesAfterSteppingDownAreIgnored(t *testing.T) {
	n := leader(t, 3, 2)
	n.Step(AppendEntriesReply{Term: 3, From: 3, To: 1})
	n.wantView(Follower, 3, 0)
	n.Step(AppendEntriesReply{Term: 2, From: 2, To: 1, Success: true, LogIndex: 1})
	n.wantCommit(0)
	if _, ok := n.Propose(commands(1)...); ok || n.log.LastIndex() != 1 {
		t.Error("a follower took a command")
	}
}

// §5.1, §5.2: a leader that crashed is in the same term still, and no longer its leader.
func TestRepliesToALifeBeforeAreIgnored(t *testing.T) {
	n := newTestNode(t, 3, Saved{})
	n.Timeout()
	n.Step(RequestVoteReply{Term: 1, From: 2, To: 1, Granted: true})
	n.wantView(Leader, 1, 1)
	n.ready()
	saved, _ := n.saving.Load()
	n = newTestNode(t, 3, saved)
	for _, reply := range []Message{
		AppendEntriesReply{Term: 1, From: 2, To: 1, Success: true, LogIndex: 1},
		AppendEntriesReply{Term: 1, From: 3, To: 1},
		RequestVoteReply{Term: 1, From: 2, To: 1, Granted: true},
		RequestVoteReply{Term: 1, From: 3, To: 1, Granted: true},
	} {
		n.Step(reply)
		n.wantView(Follower, 1, 0)
		n.wantCommit(0)
	}
	if messages := n.ready().Messages; len(messages) > 0 {
		t.Errorf("it answered %+v", messages)
	}
}

// §5.3; thesis §6.2: a leader that hears of no majority steps down, and begins no term.
func TestRepliesAfterSteppingDownInTheSameTermAreIgnored(t *testing.T) {
	n := newTestNode(t, 3, Saved{})
	n.settings.CheckQuorum = true
	n.ElectionTimeout()
	n.Step(RequestVoteReply{Term: 1, From: 2, To: 1, Granted: true})
	n.wantView(Leader, 1, 1)
	for n.View().Role == Leader {
		n.HeartbeatTimeout()
	}
	n.ready()
	n.acknowledge(2, 1)
	n.acknowledge(3, 1)
	n.Step(RequestVoteReply{Term: 1, From: 3, To: 1, Granted: true})
	n.wantView(Follower, 1, 0)
	n.wantCommit(0)
}

// §5.1: what a follower had in an earlier term, it may have replaced since.
func TestAnEarlierTermsReplyIsIgnored(t *testing.T) {
	n := leader(t, 3, 3)
	n.Step(AppendEntriesReply{Term: 2, From: 2, To: 1, Success: true, LogIndex: 1})
	n.wantCommit(0)
	n.acknowledge(2, 1)
	n.wantCommit(1)
}

func TestAnEarlierTermsLeaderIsRefused(t *testing.T) {
	n := leader(t, 3, 3)
	n.wantAnswer(
		AppendEntries{Term: 2, From: 3, To: 1, PrevLogIndex: 0, Entries: entriesOf(2), LeaderCommit: 1},
		AppendEntriesReply{Term: 3, From: 1, To: 3})
	n.wantView(Leader, 3, 1)
	n.wantCommit(0)
}

// -- reads without a log entry (thesis §6.4) --

func (n *testNode) wantReads(want ...ReadIndex) {
	n.t.Helper()
	if got := n.ready().Reads; !slices.Equal(got, want) {
		n.t.Fatalf("of its reads became %+v, want %+v", got, want)
	}
}

// Thesis §6.4: a read waits for a majority that follows still.
func TestAnIsolatedLeaderConfirmsNoRead(t *testing.T) {
	n := leader(t, 3, 1)
	asked, ok := n.Read()
	if !ok {
		t.Fatal("a leader takes no read")
	}
	for range 3 {
		n.wantReads()
		n.HeartbeatTimeout()
	}
	// What a follower said before is no answer to this round.
	n.Step(AppendEntriesReply{Term: 1, From: 2, To: 1, Success: true, LogIndex: 1, Round: asked - 1})
	n.wantReads()
	n.Step(AppendEntries{Term: 2, From: 2, To: 1, PrevLogIndex: 1, PrevLogTerm: 1})
	n.wantReads(ReadIndex{Round: asked})
	if _, ok := n.Read(); ok {
		t.Error("a follower takes a read")
	}
}

// Thesis §6.4, step 1: what its predecessors committed is before its own first entry, which is
// not committed yet.
func TestANewLeadersReadSeesWhatItsPredecessorsCommitted(t *testing.T) {
	n := leader(t, 3, 2, 1, 1)
	asked, _ := n.Read()
	n.wantReads()
	n.Step(AppendEntriesReply{Term: 2, From: 2, To: 1, Success: true, LogIndex: 2, Round: asked})
	n.wantReads(ReadIndex{asked, 3})
	n.wantCommit(0)
}
