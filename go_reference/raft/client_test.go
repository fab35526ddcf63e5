package raft

import (
	"errors"
	"testing"
)

// A listener hears the outcome of one proposal.
type listener chan Outcome

func listeners(count int) ([]listener, []Proposal) {
	var heard []listener
	var proposals []Proposal
	for range count {
		done := make(listener, 1)
		heard = append(heard, done)
		proposals = append(proposals, Proposal{Command: &Command{Op: Noop}, Done: Into(done)})
	}
	return heard, proposals
}

func (l listener) want(t *testing.T, code Code) Outcome {
	t.Helper()
	select {
	case outcome := <-l:
		failure := &Error{}
		if errors.As(outcome.Err, &failure); failure.Code != code {
			t.Errorf("heard %+v, want code %q", outcome, code)
		}
		return outcome
	default:
		t.Errorf("heard nothing, want code %q", code)
		return Outcome{}
	}
}

func (l listener) wantNothing(t *testing.T) {
	t.Helper()
	if len(l) > 0 {
		t.Errorf("heard %+v", <-l)
	}
}

func TestWaitersHearWhenTheirEntryIsApplied(t *testing.T) {
	heard, proposals := listeners(3)
	var w Waiters
	w.Add(5, 2, proposals)
	s := NewStateMachine()
	w.Applied(3, entriesOf(1, 1, 2, 2), s.Apply) // 3 to 6
	for i := range 2 {
		if got := heard[i].want(t, ""); got.Index != 5+i || got.Term != 2 {
			t.Errorf("waiter %d heard of index %d in term %d", i, got.Index, got.Term)
		}
	}
	heard[2].wantNothing(t)
	if w.Len() != 1 || s.AppliedIndex() != 4 {
		t.Errorf("%d wait, %d applied", w.Len(), s.AppliedIndex())
	}
	w.Applied(7, entriesOf(2), s.Apply)
	heard[2].want(t, "")
}

func TestAWaiterHearsTheStateMachinesAnswer(t *testing.T) {
	heard, proposals := listeners(2)
	var w Waiters
	w.Add(1, 1, proposals)
	answers := []Outcome{{Result: "value"}, {Err: ErrStaleSerial}}
	w.Applied(1, entriesOf(1, 1), func(Entry) (Result, error) {
		answer := answers[0]
		answers = answers[1:]
		return answer.Result, answer.Err
	})
	if got := heard[0].want(t, ""); got.Result != "value" {
		t.Errorf("heard %v", got.Result)
	}
	heard[1].want(t, BadRequest)
}

// §5.3: the entry that was awaited was replaced.
func TestAnotherTermsEntryMeansLost(t *testing.T) {
	heard, proposals := listeners(2)
	var w Waiters
	w.Add(4, 2, proposals)
	w.Applied(4, entriesOf(3, 3), NewStateMachine().Apply)
	heard[0].want(t, Lost)
	heard[1].want(t, Lost)
}

// §5.3: terms never fall along a log: what a later leader commits beneath says as much of the rest.
func TestALaterTermMeansLostForAllWhoWaitSinceBefore(t *testing.T) {
	before, first := listeners(2)
	after, second := listeners(1)
	var w Waiters
	w.Add(6, 2, first)
	w.Add(8, 4, second)
	w.Applied(4, entriesOf(1, 2), NewStateMachine().Apply)
	before[0].wantNothing(t)
	w.Applied(4, entriesOf(2, 3), NewStateMachine().Apply)
	before[0].want(t, Lost)
	before[1].want(t, Lost)
	after[0].wantNothing(t)
}

// §5.3: a node that led, lost its tail to another leader and leads again may give an index out
// twice. Another log may still have the entry that was there.
func TestAnIndexGivenOutAgainLeavesItsWaiterInDoubt(t *testing.T) {
	before, first := listeners(4)
	after, second := listeners(2)
	var w Waiters
	w.Add(4, 2, first) // 4 to 7
	w.Add(6, 5, second)
	before[2].want(t, OutcomeUnknown)
	before[3].want(t, OutcomeUnknown)
	before[0].wantNothing(t)
	w.Applied(4, entriesOf(2, 3, 5, 5), NewStateMachine().Apply)
	before[0].want(t, "")
	before[1].want(t, Lost)
	after[0].want(t, "")
	after[1].want(t, "")
}

func TestTheAbandonedKnowNothing(t *testing.T) {
	heard, proposals := listeners(2)
	var w Waiters
	w.Add(1, 1, proposals)
	w.Abandon("the node crashed")
	heard[0].want(t, OutcomeUnknown)
	heard[1].want(t, OutcomeUnknown)
	w.Abandon("again")
	heard[0].wantNothing(t)
}

func TestAnAnswerNobodyTakesHoldsUpNobody(t *testing.T) {
	done := make(chan Outcome, 1)
	proposal := Proposal{Done: Into(done)}
	proposal.Done(Outcome{Index: 1})
	proposal.Done(Outcome{Index: 2})
	if got := <-done; got.Index != 1 {
		t.Errorf("heard of index %d", got.Index)
	}
}

// A snapshot has the state, and not how it came about.
func TestWhomASnapshotPassesOverKnowNothing(t *testing.T) {
	heard, proposals := listeners(3)
	var w Waiters
	w.Add(4, 2, proposals)
	w.Skipped(5)
	heard[0].want(t, OutcomeUnknown)
	heard[1].want(t, OutcomeUnknown)
	heard[2].wantNothing(t)
	w.Applied(6, entriesOf(2), NewStateMachine().Apply)
	heard[2].want(t, "")
}

// -- reads (thesis §6.4) --

// queries are so many for the key k.
func queries(count int) ([]listener, []Query) {
	heard, proposals := listeners(count)
	var queries []Query
	for _, proposal := range proposals {
		queries = append(queries, Query{"k", proposal.Done})
	}
	return heard, queries
}

func TestAReaderHearsOnceItsIndexIsApplied(t *testing.T) {
	heard, asked := queries(3)
	s := NewStateMachine()
	var r Readers
	r.Add(1, asked[:2])
	r.Add(2, asked[2:])
	r.Resolve([]ReadIndex{{1, 2}}, s, 0)
	heard[0].wantNothing(t)
	run(t, s, Command{Op: Noop})
	run(t, s, Command{Op: Set, Key: "k", Value: new("v")})
	r.Resolve(nil, s, 0)
	for _, listener := range heard[:2] {
		if got := listener.want(t, ""); got.Index != 2 || got.Result != "v" {
			t.Errorf("heard %+v", got)
		}
	}
	heard[2].wantNothing(t)
	r.Resolve([]ReadIndex{{2, 1}}, s, 0)
	heard[2].want(t, "")
	if r.Len() != 0 {
		t.Errorf("%d wait", r.Len())
	}
}

func TestALaterRoundConfirmsAnEarlierOne(t *testing.T) {
	heard, asked := queries(2)
	var r Readers
	r.Add(1, asked[:1])
	r.Add(3, asked[1:])
	r.Resolve([]ReadIndex{{2, 0}}, NewStateMachine(), 4)
	failure := &Error{}
	if got := heard[0].want(t, NotLeader); errors.As(got.Err, &failure) && failure.Leader != 4 {
		t.Errorf("it was sent to node %d", failure.Leader)
	}
	heard[1].wantNothing(t)
}

func TestAbandonedReadersHearWhy(t *testing.T) {
	heard, asked := queries(2)
	var r Readers
	r.Add(1, asked[:1])
	r.Resolve([]ReadIndex{{1, 9}}, NewStateMachine(), 0)
	r.Add(2, asked[1:])
	r.Abandon(Errorf(Unavailable, "the node crashed"))
	heard[0].want(t, Unavailable)
	heard[1].want(t, Unavailable)
	r.Abandon(Errorf(Unavailable, "again"))
	heard[0].wantNothing(t)
}
