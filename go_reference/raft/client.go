package raft

import "slices"

// An Outcome is what became of a command: it was committed and applied at Index, with the
// state machine's Result, or Err says why that is not known here.
type Outcome struct {
	Index  int
	Term   uint64
	Result Result
	Err    error
}

// A Proposal is a command and where its outcome is to be sent, once. Done must have room
// for it: nobody waits for a client that does not listen.
type Proposal struct {
	Command *Command
	Done    chan<- Outcome
}

// Answer sends the outcome.
func (p Proposal) Answer(outcome Outcome) {
	select {
	case p.Done <- outcome:
	default:
	}
}

// Waiters are those who wait for an index to be applied. Each hears once.
//
// Invariant: they are in the order of their indexes, and so of their terms.
type Waiters struct {
	waiting []waiter
}

type waiter struct {
	index    int
	term     uint64
	proposal Proposal
}

// Len is how many wait.
func (w *Waiters) Len() int { return len(w.waiting) }

// Add notes that the proposals became the entries from firstIndex on, in term.
func (w *Waiters) Add(firstIndex int, term uint64, proposals []Proposal) {
	// Entries that were awaited from here on have been deleted from the log.
	kept := len(w.waiting)
	for kept > 0 && w.waiting[kept-1].index >= firstIndex {
		kept--
		w.waiting[kept].lose()
	}
	w.waiting = w.waiting[:kept]
	for offset, proposal := range proposals {
		w.waiting = append(w.waiting, waiter{firstIndex + offset, term, proposal})
	}
}

// Applied applies the entries from firstIndex on, and answers those who wait for them.
//
// Those who wait since an earlier term are answered too, whatever their index: terms never
// fall along a log, so that their entries can no longer follow.
func (w *Waiters) Applied(firstIndex int, entries []Entry, apply func(Entry) (Result, error)) {
	answered := 0
	for offset, entry := range entries {
		result, err := apply(entry)
		if answered == len(w.waiting) || w.waiting[answered].index != firstIndex+offset {
			continue
		}
		waiter := &w.waiting[answered]
		answered++
		if entry.Term == waiter.term {
			waiter.proposal.Answer(Outcome{waiter.index, waiter.term, result, err})
		} else {
			waiter.lose()
		}
	}
	for answered < len(w.waiting) && w.waiting[answered].term < entries[len(entries)-1].Term {
		w.waiting[answered].lose()
		answered++
	}
	w.waiting = slices.Delete(w.waiting, 0, answered)
}

// Abandon answers all that their command's outcome will not be known here.
func (w *Waiters) Abandon(reason string) {
	for _, waiter := range w.waiting {
		waiter.proposal.Answer(Outcome{Err: Errorf(OutcomeUnknown, "%s", reason)})
	}
	w.waiting = nil
}

func (w waiter) lose() {
	w.proposal.Answer(Outcome{Err: Errorf(Lost, "a later leader's log replaced the entry at index %d", w.index)})
}
