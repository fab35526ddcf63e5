package raft

import "slices"

// A ReadIndex is what became of the reads of a round (thesis §6.4). They may be answered once
// the state machine has applied Index; where that is 0, the node lost its leadership before
// it was sure of it.
type ReadIndex struct {
	Round uint64
	Index int
}

// Read rounds are those in which a leader asks its followers whether it still leads: it may
// answer a read from its state machine once it has learnt, after the read was asked for, that
// it does, and once it has applied what was committed by then.
//
// All reads that are asked for before a round begins share it.
type readRounds struct {
	latest  uint64 // the latest round that has begun
	asked   bool   // whether a round is to begin
	pending []ReadIndex
}

// ask returns the round that will confirm a read that is asked for now.
func (r *readRounds) ask() uint64 {
	r.asked = true
	return r.latest + 1
}

// renew returns the round that all that leaves from now on belongs to, at least, and nothing
// before.
func (r *readRounds) renew() uint64 {
	if r.asked {
		return r.latest + 1
	}
	r.latest++
	return r.latest
}

// begin begins the round that was asked for; its reads are to see what is at index.
func (r *readRounds) begin(index int) {
	r.asked = false
	r.latest++
	r.pending = append(r.pending, ReadIndex{r.latest, index})
}

// waiting reports whether a round has begun that is not confirmed.
func (r *readRounds) waiting() bool { return len(r.pending) > 0 }

// confirm returns the rounds that a majority has followed; heard has each voter's latest one.
func (r *readRounds) confirm(heard []uint64, majority int) []ReadIndex {
	slices.Sort(heard)
	confirmed, count := heard[len(heard)-majority], 0
	for count < len(r.pending) && r.pending[count].Round <= confirmed {
		count++
	}
	reads := slices.Clone(r.pending[:count])
	r.pending = slices.Delete(r.pending, 0, count)
	return reads
}

// lose returns what no round will confirm any more: the node no longer leads.
func (r *readRounds) lose() []ReadIndex {
	var lost []ReadIndex
	for _, pending := range r.pending {
		lost = append(lost, ReadIndex{Round: pending.Round})
	}
	if r.asked {
		r.latest++
		lost = append(lost, ReadIndex{Round: r.latest})
	}
	r.asked, r.pending = false, nil
	return lost
}
