package raft

import (
	"iter"
	"slices"
)

// A ReplicatedLog is a node's log in memory (§5.3): entries from index 1 on. Index 0 is a
// sentinel of term 0, before the first entry.
//
// It is kept in segments, so that it grows without ever being copied whole: a node that
// stops to move a long log is taken for dead by its peers.
//
// Invariant: an entry once written is never overwritten in place, so that the slices
// handed out stay as they are while messages, storages and clients still hold them.
type ReplicatedLog struct {
	segments [][]Entry // all but the last are full, and the last is not empty
}

// segmentSize is how many entries are in a segment.
const segmentSize = 1024

// NewReplicatedLog returns a log of the given entries.
func NewReplicatedLog(entries []Entry) *ReplicatedLog {
	l := &ReplicatedLog{}
	l.Append(Entry{Command: noop})
	l.Append(entries...)
	return l
}

// LastIndex is the index of the last entry, 0 for an empty log.
func (l *ReplicatedLog) LastIndex() int {
	full := len(l.segments) - 1
	return full*segmentSize + len(l.segments[full]) - 1
}

// LastTerm is the term of the last entry, 0 for an empty log.
func (l *ReplicatedLog) LastTerm() uint64 { return l.TermAt(l.LastIndex()) }

// TermAt is the term of the entry at index, which must exist.
func (l *ReplicatedLog) TermAt(index int) uint64 {
	return l.segments[index/segmentSize][index%segmentSize].Term
}

// Slice returns the entries from first to last, both inclusive, cut to what exists.
func (l *ReplicatedLog) Slice(first, last int) []Entry {
	last = min(last, l.LastIndex())
	if first > last {
		return nil
	}
	if first/segmentSize == last/segmentSize {
		end := last%segmentSize + 1
		return l.segments[first/segmentSize][first%segmentSize : end : end]
	}
	entries := make([]Entry, 0, last-first+1)
	for first <= last {
		part := l.segments[first/segmentSize][first%segmentSize:]
		part = part[:min(len(part), last-first+1)]
		entries = append(entries, part...)
		first += len(part)
	}
	return entries
}

// Until iterates over the entries from index 1 to last, cut to what exists.
func (l *ReplicatedLog) Until(last int) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		last = min(last, l.LastIndex())
		for first := 1; first <= last; {
			end := min(last, first|(segmentSize-1))
			for _, entry := range l.Slice(first, end) {
				if !yield(entry) {
					return
				}
			}
			first = end + 1
		}
	}
}

// Clone returns a log of its own with the same entries, without copying them.
func (l *ReplicatedLog) Clone() *ReplicatedLog {
	segments := slices.Clone(l.segments)
	last := len(segments) - 1
	// Were there room to grow, both logs would write into it.
	segments[last] = slices.Clip(segments[last])
	return &ReplicatedLog{segments}
}

// Matches reports whether the log has an entry of term at index (log matching, §5.3).
func (l *ReplicatedLog) Matches(index int, term uint64) bool {
	return index <= l.LastIndex() && l.TermAt(index) == term
}

// IsUpToDate reports whether a log that ends so is at least as up-to-date as this one
// (§5.4.1).
func (l *ReplicatedLog) IsUpToDate(lastIndex int, lastTerm uint64) bool {
	if lastTerm != l.LastTerm() {
		return lastTerm > l.LastTerm()
	}
	return lastIndex >= l.LastIndex()
}

// Append adds entries at the end.
func (l *ReplicatedLog) Append(entries ...Entry) {
	for len(entries) > 0 {
		last := len(l.segments) - 1
		if last < 0 || len(l.segments[last]) == segmentSize {
			l.segments = append(l.segments, make([]Entry, 0, segmentSize))
			last++
		}
		taken := min(len(entries), segmentSize-len(l.segments[last]))
		l.segments[last] = append(l.segments[last], entries[:taken]...)
		entries = entries[taken:]
	}
}

// Truncate deletes the entries from index on, which is at least 1.
func (l *ReplicatedLog) Truncate(index int) {
	if index > l.LastIndex() {
		return
	}
	last := (index - 1) / segmentSize
	kept := l.segments[last][:(index-1)%segmentSize+1]
	l.segments = l.segments[:last+1]
	// What follows must not overwrite the deleted entries: someone may still hold them.
	l.segments[last] = append(make([]Entry, 0, segmentSize), kept...)
}

// Merge takes a leader's entries, which follow prevIndex, into the log and returns the
// first index that was written, 0 where nothing was new.
//
// Entries that are there already stay, so that a delayed, shorter AppendEntries removes
// nothing; at the first conflict the whole tail is deleted (§5.3).
func (l *ReplicatedLog) Merge(prevIndex int, entries []Entry) int {
	for offset, entry := range entries {
		index := prevIndex + 1 + offset
		if !l.Matches(index, entry.Term) {
			l.Truncate(index)
			l.Append(entries[offset:]...)
			return index
		}
	}
	return 0
}

// LastPossibleMatch is the largest index up to index whose term is not above term.
//
// Another log that has term at index can agree with this one no later than there, so that
// log repair skips whole terms (§5.3, the end).
func (l *ReplicatedLog) LastPossibleMatch(index int, term uint64) int {
	index = min(index, l.LastIndex())
	for l.TermAt(index) > term {
		index--
	}
	return index
}
