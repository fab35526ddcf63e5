package raft

import "slices"

// An Outcome is what became of a command: it was committed and applied at Index, with the
// state machine's Result, or Err says why that is not known here. That of a read is a key's
// value, nil if it does not exist, after what is up to Index.
type Outcome struct {
	Index  int
	Term   uint64
	Result Result
	Err    error
}

// A Proposal is a command and who is told its outcome, once. Done is called where the node runs,
// and must neither block nor call it.
type Proposal struct {
	Command *Command
	Done    func(Outcome)
}

// Into returns what sends outcomes into a channel, as far as that has room: nobody waits for a
// client that does not listen.
func Into(done chan<- Outcome) func(Outcome) {
	return func(outcome Outcome) {
		select {
		case done <- outcome:
		default:
		}
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
	// Entries that were awaited from here on have been deleted from this log; another may
	// still have them.
	kept := len(w.waiting)
	for kept > 0 && w.waiting[kept-1].index >= firstIndex {
		kept--
		w.waiting[kept].forget()
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
			waiter.proposal.Done(Outcome{waiter.index, waiter.term, result, err})
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

// Skipped notes that a snapshot took the place of the entries up to index, and of their
// results.
func (w *Waiters) Skipped(index int) {
	covered := 0
	for covered < len(w.waiting) && w.waiting[covered].index <= index {
		w.waiting[covered].proposal.Done(Outcome{
			Err: Errorf(OutcomeUnknown, "the entry came with a snapshot, without its result"),
		})
		covered++
	}
	w.waiting = slices.Delete(w.waiting, 0, covered)
}

// Abandon answers all that their command's outcome will not be known here.
func (w *Waiters) Abandon(reason string) {
	for _, waiter := range w.waiting {
		waiter.proposal.Done(Outcome{Err: Errorf(OutcomeUnknown, "%s", reason)})
	}
	w.waiting = nil
}

func (w waiter) forget() {
	w.proposal.Done(Outcome{Err: Errorf(OutcomeUnknown, "the entry at index %d left this log", w.index)})
}

func (w waiter) lose() {
	w.proposal.Done(Outcome{Err: Errorf(Lost, "a later leader's log replaced the entry at index %d", w.index)})
}

// A Query is a key and who is told its value, once; Done as in a [Proposal].
type Query struct {
	Key  string
	Done func(Outcome)
}

// Readers are those who wait for a value that is sure to be the latest (thesis §6.4). Each
// hears once.
type Readers struct {
	asked     []reader // in the order of their rounds
	confirmed []reader
}

type reader struct {
	round uint64
	index int // once it is confirmed
	query Query
}

// Len is how many wait.
func (r *Readers) Len() int { return len(r.asked) + len(r.confirmed) }

// Confirmed reports whether some wait for their index only.
func (r *Readers) Confirmed() bool { return len(r.confirmed) > 0 }

// Add notes that the queries wait for a round of their leader's.
func (r *Readers) Add(round uint64, queries []Query) {
	for _, query := range queries {
		r.asked = append(r.asked, reader{round: round, query: query})
	}
}

// Await notes that the query waits for an index alone, whoever leads: what it reads may be old.
func (r *Readers) Await(index int, query Query) {
	r.confirmed = append(r.confirmed, reader{index: index, query: query})
}

// Resolve takes what became of rounds, and answers those whose index is applied. Leader is
// whom those may ask instead whose node leads no longer.
func (r *Readers) Resolve(reads []ReadIndex, machine *StateMachine, leader NodeID) {
	for _, read := range reads {
		known := 0
		for known < len(r.asked) && r.asked[known].round <= read.Round {
			reader := r.asked[known]
			known++
			if read.Index == 0 {
				reader.query.Done(Outcome{Err: NotTheLeader(leader)})
				continue
			}
			reader.index = read.Index
			r.confirmed = append(r.confirmed, reader)
		}
		r.asked = slices.Delete(r.asked, 0, known)
	}
	index := machine.AppliedIndex()
	r.confirmed = slices.DeleteFunc(r.confirmed, func(reader reader) bool {
		due := reader.index <= index
		if due {
			reader.query.Done(Outcome{Index: index, Result: machine.Get(reader.query.Key)})
		}
		return due
	})
}

// Abandon answers all with an error: the node is gone.
func (r *Readers) Abandon(err error) {
	for _, reader := range slices.Concat(r.asked, r.confirmed) {
		reader.query.Done(Outcome{Err: err})
	}
	*r = Readers{}
}
