package raft

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// A lonely is node 1 of three, and all that it does to the world, in order.
type lonely struct {
	*Server
	t        *testing.T
	did      []string
	sent     []Message
	views    []View
	losses   []LostEntries
	members  []Membership
	counters Counters
	now      time.Duration
	full     error // what a save returns
}

var setKey = &Command{Op: Set, Key: "key", Value: new("value")}

func newLonely(t *testing.T) *lonely {
	l := &lonely{t: t}
	settings := Settings{
		Nodes:           []NodeID{1, 2, 3},
		ElectionTimeout: Range{150 * time.Millisecond, 300 * time.Millisecond},
		Heartbeat:       50 * time.Millisecond,
		MaxEntries:      DefaultMaxEntries,
		MaxBytes:        DefaultMaxBytes,
		Window:          DefaultWindow,
	}
	l.Server = NewServer(1, settings, func() float64 { return 0.5 }, Saved{}, Runtime{
		Save: func(Save) error {
			l.did = append(l.did, "save")
			return l.full
		},
		Send: func(messages []Message) {
			l.did = append(l.did, "send")
			l.sent = append(l.sent, messages...)
		},
		RestartTimer: func(time.Duration) {},
		Announce:     func(view View) { l.views = append(l.views, view) },
		ReportLoss:   func(lost LostEntries) { l.losses = append(l.losses, lost) },
		TellMembers:  func(members Membership) { l.members = append(l.members, members) },
		Now: func() time.Duration {
			l.now++
			return l.now
		},
		Counters: &l.counters,
	})
	l.Begin()
	l.carryOut()
	return l
}

func (l *lonely) carryOut() {
	l.t.Helper()
	if err := l.CarryOut(); err != nil {
		l.t.Fatal(err)
	}
}

// lead lets it lead, with its no-op committed.
func (l *lonely) lead() {
	l.TimeOut()
	l.carryOut()
	l.Receive(RequestVoteReply{Term: 1, From: 2, To: 1, Granted: true})
	l.carryOut()
	l.acknowledge(1)
}

// acknowledge says that node 2 has the log up to index, and still follows.
func (l *lonely) acknowledge(index int) {
	reply := AppendEntriesReply{Term: 1, From: 2, To: 1, Success: true, LogIndex: index}
	for _, message := range l.sent {
		if entries, ok := message.(AppendEntries); ok {
			reply.Round = entries.Round
		}
	}
	l.Receive(reply)
	l.carryOut()
}

// ask asks for a command and a read; their answers come in a channel with room for more.
func (l *lonely) ask() chan Outcome {
	answers := make(chan Outcome, 4)
	l.Propose(Proposal{Command: setKey, Done: Into(answers)})
	l.Read(Query{Key: "key", Done: Into(answers)})
	return answers
}

func TestAServerSavesThenSendsThenAppliesAndAnswers(t *testing.T) {
	l := newLonely(t)
	l.lead()
	l.did = nil
	answers := make(chan Outcome, 2)
	l.Propose(Proposal{Command: setKey, Done: Into(answers)})
	l.carryOut()
	if want := []string{"save", "send"}; !slices.Equal(l.did, want) || len(answers) > 0 {
		t.Fatalf("it did %v, and answered %d", l.did, len(answers))
	}
	l.acknowledge(2)
	if outcome := <-answers; outcome.Err != nil || outcome.Index != 2 || len(answers) > 0 {
		t.Errorf("it answered %+v, and %d more", outcome, len(answers))
	}
}

func TestAServerTellsOfWhatAFollowerHasLost(t *testing.T) {
	l := newLonely(t)
	l.lead()
	for round := range 2 { // the first refusal may be old
		l.Receive(AppendEntriesReply{Term: 1, From: 2, To: 1, LogIndex: 1, Round: uint64(round)})
		l.carryOut()
	}
	want := []LostEntries{{2, 1, 1}}
	if !slices.Equal(l.losses, want) || !slices.Equal(l.Status().LostEntries, want) {
		t.Errorf("it told of %+v, and its status of %+v", l.losses, l.Status().LostEntries)
	}
}

// Figure 2: a vote that could be forgotten is no vote.
func TestWhatCannotBeSavedIsNeverSent(t *testing.T) {
	l := newLonely(t)
	l.full = errors.New("no room")
	l.Receive(RequestVote{Term: 5, From: 2, To: 1})
	if err := l.CarryOut(); err != l.full || len(l.sent) > 0 {
		t.Errorf("after %v it sent %v", err, l.sent)
	}
	if l.counters.Saves != 0 {
		t.Errorf("it counted %+v", l.counters)
	}
}

func TestAServerCountsWhatItSavesAndSends(t *testing.T) {
	l := newLonely(t)
	l.Receive(RequestVote{Term: 5, From: 2, To: 1})
	l.carryOut()
	if want := []Message{RequestVoteReply{Term: 5, From: 1, To: 2, Granted: true}}; !reflect.DeepEqual(l.sent, want) {
		t.Errorf("it sent %v", l.sent)
	}
	if want := (Counters{Messages: 1, Saves: 1, SaveNs: 1}); l.counters != want {
		t.Errorf("it counted %+v", l.counters)
	}
}

func TestEveryChangeOfViewIsAnnouncedOnce(t *testing.T) {
	l := newLonely(t)
	l.lead()
	l.carryOut()
	want := []View{{}, {Role: Candidate, Term: 1}, {Role: Leader, Term: 1, Leader: 1}}
	if !slices.Equal(l.views, want) {
		t.Errorf("it announced %+v", l.views)
	}
}

func TestWhatIsAskedOfAFollowerIsRefusedOnce(t *testing.T) {
	l := newLonely(t)
	answers := l.ask()
	l.carryOut()
	l.Abandon("it ceased", Errorf(Unavailable, "node 1 is down"))
	wantCodes(t, answers, NotLeader, NotLeader)
}

func TestTheEndOfALifeAnswersEachOnce(t *testing.T) {
	for _, carriedOut := range []bool{false, true} {
		l := newLonely(t)
		l.lead()
		answers := l.ask()
		l.AwaitApplied(9, Into(answers))
		want := []Code{Unavailable, Unavailable, Unavailable}
		if carriedOut {
			l.carryOut()
			want[0] = OutcomeUnknown
		}
		for range 2 {
			l.Abandon("it ceased", Errorf(Unavailable, "node 1 is down"))
		}
		wantCodes(t, answers, want...)
	}
}

func wantCodes(t *testing.T, answers chan Outcome, want ...Code) {
	t.Helper()
	var codes []Code
	for range len(answers) {
		var known *Error
		if outcome := <-answers; errors.As(outcome.Err, &known) {
			codes = append(codes, known.Code)
		}
	}
	if !slices.Equal(codes, want) {
		t.Errorf("it answered %v, want %v", codes, want)
	}
}

func TestALeaderTellsOfAChangeOfMembersOnceItIsCommitted(t *testing.T) {
	l := newLonely(t)
	told := func(want string) {
		t.Helper()
		if got := fmt.Sprint(l.members); got != want {
			t.Errorf("it told %s, want %s", got, want)
		}
	}
	l.lead()
	told("[{1 [1 2 3]}]") // with the first entry of its term
	l.Propose(Proposal{Command: MembershipCommand(RemoveServer, 3), Done: func(Outcome) {}})
	l.carryOut()
	l.Propose(Proposal{Command: setKey, Done: func(Outcome) {}})
	l.carryOut()
	told("[{1 [1 2 3]}]") // the change is in force, and may yet be lost
	l.acknowledge(3)
	told("[{1 [1 2 3]} {3 [1 2]}]")
	l.Propose(Proposal{Command: setKey, Done: func(Outcome) {}})
	l.carryOut()
	l.acknowledge(4)
	told("[{1 [1 2 3]} {3 [1 2]}]")
}

// A follower may have applied what later changes have overtaken.
func TestOnlyALeaderTellsOfTheMembers(t *testing.T) {
	l := newLonely(t)
	entries := []Entry{{Term: 1, Command: noop}, {Term: 1, Command: MembershipCommand(RemoveServer, 3)}}
	l.Receive(AppendEntries{Term: 1, From: 2, To: 1, Entries: entries, LeaderCommit: 2})
	l.carryOut()
	if got := l.Status().AppliedIndex; got != 2 || len(l.members) > 0 {
		t.Errorf("with %d entries applied it told %v", got, l.members)
	}
}
