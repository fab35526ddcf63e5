package raft

import (
	"iter"
	"slices"
)

// A ReplicatedLog is a node's log in memory (§5.3, §7), from FirstIndex on: the entries, and
// what they say of the cluster's members. What was before is compacted away.
//
// The entry before the first is kept as a sentinel, for its term. In a log that never was
// compacted that is index 0, of term 0.
//
// It is kept in segments, so that it grows without ever being copied whole: a node that
// stops to move a long log is taken for dead by its peers.
//
// Invariants: what is compacted away was committed. An entry once written is never
// overwritten in place, so that the slices handed out stay as they are while messages,
// storages and clients still hold them.
type ReplicatedLog struct {
	start, last    int       // the indexes of the sentinel and of the last entry
	base           int       // the index of the first entry that the segments hold, up to start
	segments       [][]Entry // all but the last are full, and the last is not empty
	configurations []configured
}

// A configured is a configuration, and the index of the entry that made it.
type configured struct {
	index int
	*Configuration
}

// segmentSize is how many entries are in a segment.
const segmentSize = 1024

// NewReplicatedLog returns a log of the given entries, which follow a snapshot.
func NewReplicatedLog(snapshot Snapshot, entries []Entry) *ReplicatedLog {
	start := snapshot.LastIndex
	l := &ReplicatedLog{
		start:          start,
		base:           start,
		last:           start - 1,
		configurations: []configured{{start, &snapshot.Configuration}},
	}
	l.add(Entry{snapshot.LastTerm, noop})
	l.Append(entries...)
	return l
}

// FirstIndex is the index of the first entry that is kept, or would be.
func (l *ReplicatedLog) FirstIndex() int { return l.start + 1 }

// LastIndex is the index of the last entry, 0 for an empty log.
func (l *ReplicatedLog) LastIndex() int { return l.last }

// LastTerm is the term of the last entry, 0 for an empty log.
func (l *ReplicatedLog) LastTerm() uint64 { return l.TermAt(l.LastIndex()) }

// Configuration is the latest one: in force as soon as it is in the log (thesis §4.1).
func (l *ReplicatedLog) Configuration() *Configuration {
	return l.configurations[len(l.configurations)-1].Configuration
}

// configurationIndex is the index of the entry that made the latest configuration.
func (l *ReplicatedLog) configurationIndex() int {
	return l.configurations[len(l.configurations)-1].index
}

// configurationAt is the configuration that the entries up to index make.
func (l *ReplicatedLog) configurationAt(index int) *Configuration {
	at := len(l.configurations) - 1
	for at > 0 && l.configurations[at].index > index {
		at--
	}
	return l.configurations[at].Configuration
}

// TermAt is the term of the entry at index, which is not before the sentinel or past the end.
func (l *ReplicatedLog) TermAt(index int) uint64 {
	index -= l.base
	return l.segments[index/segmentSize][index%segmentSize].Term
}

// Slice returns the entries from first to last, both inclusive, cut to what exists.
func (l *ReplicatedLog) Slice(first, last int) []Entry {
	first, last = max(first, l.FirstIndex()), min(last, l.LastIndex())
	if first > last {
		return nil
	}
	first, last = first-l.base, last-l.base
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

// Batch returns as many entries from first on, up to last, as a message has room for, and
// their size.
func (l *ReplicatedLog) Batch(first, last, maxBytes int) (entries []Entry, size int) {
	entries = l.Slice(first, last)
	count, size := fitting(entries, maxBytes)
	return entries[:count:count], size
}

// Until iterates over the entries up to last, cut to what exists.
func (l *ReplicatedLog) Until(last int) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		last = min(last, l.LastIndex())
		for first := l.FirstIndex(); first <= last; {
			end := min(last, l.base+((first-l.base)|(segmentSize-1)))
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
	clone := *l
	clone.segments = slices.Clone(l.segments)
	clone.configurations = slices.Clone(l.configurations)
	last := len(l.segments) - 1
	// Were there room to grow, both logs would write into it.
	clone.segments[last] = slices.Clip(l.segments[last])
	return &clone
}

// Matches reports whether a leader's log with term at index agrees with this one there
// (§5.3). What is compacted away was committed, so that every leader has it (§5.4.3).
func (l *ReplicatedLog) Matches(index int, term uint64) bool {
	return index < l.start || index <= l.LastIndex() && l.TermAt(index) == term
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
	for i, entry := range entries {
		if entry.Command.Op.changesMembers() {
			changed := l.Configuration().changedBy(entry.Command)
			l.configurations = append(l.configurations, configured{l.LastIndex() + 1 + i, &changed})
		}
	}
	l.add(entries...)
}

// add adds entries, whatever they say of the members.
func (l *ReplicatedLog) add(entries ...Entry) {
	l.last += len(entries)
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

// Truncate deletes the entries from index on, and the configurations that they made. Index
// is past the sentinel's.
func (l *ReplicatedLog) Truncate(index int) {
	if index > l.LastIndex() {
		return
	}
	last := (index - 1 - l.base) / segmentSize
	kept := l.segments[last][:(index-1-l.base)%segmentSize+1]
	l.segments = l.segments[:last+1]
	// What follows must not overwrite the deleted entries: someone may still hold them.
	l.segments[last] = append(make([]Entry, 0, segmentSize), kept...)
	l.last = index - 1
	for l.configurationIndex() >= index {
		l.configurations = l.configurations[:len(l.configurations)-1]
	}
}

// Merge takes a leader's entries, which follow prevIndex, into the log and returns the
// first index that was written, 0 where nothing was new.
//
// Entries that are there already stay, so that a delayed, shorter AppendEntries removes
// nothing; at the first conflict the whole tail is deleted (§5.3).
func (l *ReplicatedLog) Merge(prevIndex int, entries []Entry) int {
	if prevIndex == l.last && len(entries) > 0 {
		l.Append(entries...) // As a rule they are the next ones.
		return prevIndex + 1
	}
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
// log repair skips whole terms (§5.3, the end). Terms that are compacted away are not looked
// at.
func (l *ReplicatedLog) LastPossibleMatch(index int, term uint64) int {
	index = min(index, l.LastIndex())
	for index > l.start && l.TermAt(index) > term {
		index--
	}
	return index
}

// Compact forgets the entries up to index, which a snapshot covers (§7).
func (l *ReplicatedLog) Compact(index int) {
	configuration := l.configurationAt(index)
	l.configurations = slices.DeleteFunc(l.configurations, func(known configured) bool {
		return known.index <= index
	})
	l.configurations = slices.Insert(l.configurations, 0, configured{index, configuration})
	unneeded := (index - l.base) / segmentSize
	l.segments = slices.Delete(l.segments, 0, unneeded)
	l.base += unneeded * segmentSize
	l.start = index
}
