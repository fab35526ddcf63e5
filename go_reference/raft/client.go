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
// Invariant: the batches are in the order of their indexes, and so of their terms; in each somebody
// waits.
type Waiters struct {
	waiting []batch
	spare   [][]Proposal // room that batches have left
}

// A batch is proposals that became the entries from firstIndex on, in one term.
type batch struct {
	firstIndex int
	term       uint64
	proposals  []Proposal
	heard      int // so many of them, the first ones
}

// next is the first index that somebody still waits for, and end the one after the last.
func (b *batch) next() int { return b.firstIndex + b.heard }
func (b *batch) end() int  { return b.firstIndex + len(b.proposals) }

// answer answers who waits for the next index, and reports whether nobody is left.
func (b *batch) answer(outcome Outcome) (all bool) {
	b.heard++
	b.proposals[b.heard-1].Done(outcome)
	return b.heard == len(b.proposals)
}

// Len is how many wait.
func (w *Waiters) Len() (count int) {
	for _, batch := range w.waiting {
		count += len(batch.proposals) - batch.heard
	}
	return count
}

// Add notes that the proposals, which it keeps, became the entries from firstIndex on, in term. It
// returns room for others.
func (w *Waiters) Add(firstIndex int, term uint64, proposals []Proposal) (room []Proposal) {
	// Entries that were awaited from here on have been deleted from this log; another may
	// still have them.
	for last := len(w.waiting) - 1; last >= 0 && w.waiting[last].end() > firstIndex; last-- {
		batch := &w.waiting[last]
		kept := max(batch.heard, firstIndex-batch.firstIndex)
		for offset, proposal := range batch.proposals[kept:] {
			proposal.Done(forgotten(batch.firstIndex + kept + offset))
		}
		batch.proposals = batch.proposals[:kept]
		if kept == batch.heard {
			w.waiting = w.waiting[:last]
		}
	}
	if len(proposals) > 0 {
		w.waiting = append(w.waiting, batch{firstIndex: firstIndex, term: term, proposals: proposals})
	}
	if last := len(w.spare) - 1; last >= 0 {
		room, w.spare = w.spare[last], w.spare[:last]
	}
	return room
}

// Applied applies the entries from firstIndex on, and answers those who wait for them.
//
// Those who wait since an earlier term are answered too, whatever their index: terms never
// fall along a log, so that their entries can no longer follow.
func (w *Waiters) Applied(firstIndex int, entries []Entry, apply func(Entry) (Result, error)) {
	answered := 0 // so many batches
	for offset, entry := range entries {
		result, err := apply(entry)
		index := firstIndex + offset
		if answered == len(w.waiting) || w.waiting[answered].next() != index {
			continue
		}
		batch, outcome := &w.waiting[answered], Outcome{index, entry.Term, result, err}
		if entry.Term != batch.term {
			outcome = lost(index)
		}
		if batch.answer(outcome) {
			answered++
		}
	}
	for answered < len(w.waiting) && w.waiting[answered].term < entries[len(entries)-1].Term {
		for batch := &w.waiting[answered]; !batch.answer(lost(batch.next())); {
		}
		answered++
	}
	w.release(answered)
}

// Skipped notes that a snapshot took the place of the entries up to index, and of their
// results.
func (w *Waiters) Skipped(index int) {
	covered := 0 // so many batches
	for covered < len(w.waiting) && w.waiting[covered].next() <= index {
		if w.waiting[covered].answer(Outcome{
			Err: Errorf(OutcomeUnknown, "the entry came with a snapshot, without its result"),
		}) {
			covered++
		}
	}
	w.release(covered)
}

// Abandon answers all that their command's outcome will not be known here.
func (w *Waiters) Abandon(reason string) {
	for _, batch := range w.waiting {
		for !batch.answer(Outcome{Err: Errorf(OutcomeUnknown, "%s", reason)}) {
		}
	}
	*w = Waiters{}
}

// release lets go of the first batches, in which nobody waits any more.
func (w *Waiters) release(count int) {
	for _, batch := range w.waiting[:count] {
		clear(batch.proposals)
		w.spare = append(w.spare, batch.proposals[:0])
	}
	w.waiting = slices.Delete(w.waiting, 0, count)
}

func forgotten(index int) Outcome {
	return Outcome{Err: Errorf(OutcomeUnknown, "the entry at index %d left this log", index)}
}

func lost(index int) Outcome {
	return Outcome{Err: Errorf(Lost, "a later leader's log replaced the entry at index %d", index)}
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
