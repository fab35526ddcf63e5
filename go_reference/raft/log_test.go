package raft

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// entriesOf returns entries of the given terms, each with a command of its own.
func entriesOf(terms ...uint64) []Entry {
	entries := make([]Entry, len(terms))
	for i, term := range terms {
		entries[i] = Entry{term, &Command{Op: Set, Key: "k", Value: new("v")}}
	}
	return entries
}

func termsOf(entries []Entry) []uint64 {
	terms := []uint64{}
	for _, entry := range entries {
		terms = append(terms, entry.Term)
	}
	return terms
}

func checkTerms(t *testing.T, l *ReplicatedLog, want ...uint64) {
	t.Helper()
	if got := termsOf(l.Slice(1, l.LastIndex())); !slices.Equal(got, want) {
		t.Errorf("the log's terms are %v, want %v", got, want)
	}
}

func TestAnEmptyLogMatchesAtItsBeginning(t *testing.T) {
	l := NewReplicatedLog(Snapshot{}, nil)
	if l.LastIndex() != 0 || l.LastTerm() != 0 || !l.Matches(0, 0) || l.Matches(1, 0) {
		t.Errorf("an empty log ends at %d in term %d", l.LastIndex(), l.LastTerm())
	}
	if got := l.Slice(1, 5); len(got) != 0 {
		t.Errorf("an empty log has %v", got)
	}
}

// §5.4.1
func TestUpToDateIsLastTermFirstThenLength(t *testing.T) {
	l := NewReplicatedLog(Snapshot{}, entriesOf(1, 3))
	for _, c := range []struct {
		index int
		term  uint64
		want  bool
	}{{2, 3, true}, {3, 3, true}, {1, 3, false}, {1, 4, true}, {9, 2, false}} {
		if got := l.IsUpToDate(c.index, c.term); got != c.want {
			t.Errorf("a log that ends at %d in term %d: up to date %v", c.index, c.term, got)
		}
	}
}

// §5.3: "If an existing entry conflicts with a new one …, delete the existing entry and all
// that follow it."
func TestMerge(t *testing.T) {
	for name, c := range map[string]struct {
		prev  int
		terms []uint64
		want  []uint64
		first int
	}{
		"nothing":                         {3, nil, []uint64{1, 1, 2, 2}, 0},
		"what is there, delayed, shorter": {1, []uint64{1}, []uint64{1, 1, 2, 2}, 0},
		"more at the end":                 {4, []uint64{3}, []uint64{1, 1, 2, 2, 3}, 5},
		"overlap and more":                {2, []uint64{2, 2, 3}, []uint64{1, 1, 2, 2, 3}, 5},
		"a conflict at once":              {1, []uint64{3}, []uint64{1, 3}, 2},
		"a conflict later on":             {1, []uint64{1, 3, 3}, []uint64{1, 1, 3, 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewReplicatedLog(Snapshot{}, entriesOf(1, 1, 2, 2))
			if first := l.Merge(c.prev, entriesOf(c.terms...)); first != c.first {
				t.Errorf("written from %d, want %d", first, c.first)
			}
			checkTerms(t, l, c.want...)
		})
	}
}

// §5.3, the end: "the leader can … bypass all of the conflicting entries in that term".
func TestLastPossibleMatchSkipsTerms(t *testing.T) {
	l := NewReplicatedLog(Snapshot{}, entriesOf(1, 1, 4, 4, 6))
	for _, c := range []struct {
		index int
		term  uint64
		want  int
	}{{5, 6, 5}, {5, 5, 4}, {5, 3, 2}, {4, 4, 4}, {9, 4, 4}, {9, 9, 5}, {5, 0, 0}} {
		if got := l.LastPossibleMatch(c.index, c.term); got != c.want {
			t.Errorf("up to %d, not above term %d: %d, want %d", c.index, c.term, got, c.want)
		}
	}
}

// Whatever happens to a log that is long enough to have many segments, it holds what a plain
// slice would, and what it has handed out stays as it was.
func TestALogIsWhatASliceWouldBe(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type handedOut struct{ got, want []Entry }
	var kept []handedOut
	log, model, start := NewReplicatedLog(Snapshot{}, nil), []Entry{}, 0
	for step := range 2000 {
		switch random.IntN(5) {
		case 0, 1:
			fresh := entriesOf(slices.Repeat([]uint64{uint64(step + 1)}, random.IntN(300))...)
			log.Append(fresh...)
			model = append(slices.Clip(model), fresh...)
		case 2:
			index := max(start+1, len(model)-random.IntN(400))
			log.Truncate(index)
			model = slices.Clip(model[:min(len(model), index-1)])
		case 3:
			first := 1 + random.IntN(len(model)+1)
			last := first + random.IntN(2*segmentSize)
			first = max(first, start+1)
			want := model[first-1 : max(first-1, min(last, len(model)))]
			kept = append(kept, handedOut{log.Slice(first, last), want})
		case 4:
			start = max(start, len(model)-random.IntN(5*segmentSize))
			log.Compact(start)
		}
		if log.FirstIndex() != start+1 || log.LastIndex() != len(model) {
			t.Fatalf("step %d: from %d to %d, want from %d to %d",
				step, log.FirstIndex(), log.LastIndex(), start+1, len(model))
		}
		if start > 0 && log.TermAt(start) != model[start-1].Term {
			t.Fatalf("step %d: what precedes the first entry is of term %d", step, log.TermAt(start))
		}
		if size := len(log.segments) * segmentSize; size > len(model)-start+2*segmentSize {
			t.Fatalf("step %d: %d entries take the room of %d", step, len(model)-start, size)
		}
	}
	kept = append(kept, handedOut{log.Slice(1, log.LastIndex()), model[start:]})
	for i, k := range kept {
		if !slices.Equal(k.got, k.want) {
			t.Fatalf("slice %d of %d is not what was there", i, len(kept))
		}
	}
}

func TestACloneIsALogOfItsOwn(t *testing.T) {
	original := NewReplicatedLog(Snapshot{}, entriesOf(slices.Repeat([]uint64{1}, segmentSize+3)...))
	clone := original.Clone()
	before := slices.Collect(clone.Until(clone.LastIndex()))
	original.Append(entriesOf(2, 2)...)
	clone.Append(entriesOf(3)...)
	original.Truncate(5)
	if got := slices.Collect(clone.Until(len(before))); !slices.Equal(got, before) {
		t.Error("the clone was changed with its original")
	}
	if clone.LastTerm() != 3 || original.LastIndex() != 4 {
		t.Errorf("the clone ends in term %d, the original at %d", clone.LastTerm(), original.LastIndex())
	}
}

func TestUntilCrossesSegments(t *testing.T) {
	l := NewReplicatedLog(Snapshot{}, entriesOf(slices.Repeat([]uint64{1}, 3*segmentSize)...))
	for _, last := range []int{0, 1, segmentSize - 1, segmentSize, segmentSize + 1, 3 * segmentSize, 9 * segmentSize} {
		got := slices.Collect(l.Until(last))
		if want := l.Slice(1, last); !slices.Equal(got, want) {
			t.Errorf("until %d: %d entries, want %d", last, len(got), len(want))
		}
	}
}

func TestUntilBeginsWithTheFirstEntryKept(t *testing.T) {
	l := NewReplicatedLog(Snapshot{LastIndex: 7, LastTerm: 2}, entriesOf(slices.Repeat([]uint64{3}, 3*segmentSize)...))
	l.Compact(segmentSize + 9)
	for _, last := range []int{0, segmentSize + 9, segmentSize + 10, 2*segmentSize + 6, 2*segmentSize + 7, 9 * segmentSize} {
		if got, want := slices.Collect(l.Until(last)), l.Slice(1, last); !slices.Equal(got, want) {
			t.Errorf("until %d: %d entries, want %d", last, len(got), len(want))
		}
	}
}

// What is compacted away was committed, and every leader's log has it (§5.4.3).
func TestACompactedLog(t *testing.T) {
	l := NewReplicatedLog(Snapshot{}, entriesOf(1, 1, 2, 2, 3))
	l.Compact(3)
	checkTerms(t, l, 2, 3)
	if !l.Matches(2, 9) || !l.Matches(3, 2) || l.Matches(3, 1) || l.Matches(6, 3) {
		t.Error("it matches where it should not, or not where it should")
	}
	if got := l.LastPossibleMatch(5, 1); got != 3 {
		t.Errorf("the last possible match is %d: terms that are gone are not looked at", got)
	}
	l.Compact(5)
	if l.FirstIndex() != 6 || l.LastIndex() != 5 || l.LastTerm() != 3 {
		t.Errorf("an empty log is from %d to %d, of term %d", l.FirstIndex(), l.LastIndex(), l.LastTerm())
	}
	if first := l.Merge(2, entriesOf(2, 2, 3, 4)); first != 6 {
		t.Errorf("written from %d", first)
	}
	checkTerms(t, l, 4)
}

// Thesis §4.1
func TestConfigurationsComeAndGoWithTheirEntries(t *testing.T) {
	change := func(op Op, server NodeID) Entry { return Entry{1, MembershipCommand(op, server)} }
	l := NewReplicatedLog(Snapshot{Configuration: Configuration{Voters: []NodeID{1, 3}}}, []Entry{
		change(AddServer, 4), change(AddServer, 2), change(PromoteServer, 2), change(RemoveServer, 1), change(RemoveServer, 4),
	})
	want := []string{"{[1 3] []}", "{[1 3] [4]}", "{[1 3] [2 4]}", "{[1 2 3] [4]}", "{[2 3] [4]}", "{[2 3] []}"}
	check := func(from int) {
		t.Helper()
		for index := from; index <= l.LastIndex(); index++ {
			if got := fmt.Sprint(*l.configurationAt(index)); got != want[index] {
				t.Errorf("at %d the members are %s, want %s", index, got, want[index])
			}
		}
		if l.Configuration() != l.configurationAt(l.LastIndex()) {
			t.Error("the latest is another")
		}
	}
	check(0)
	l.Truncate(5)
	check(0)
	l.Compact(2)
	check(2)
	clone := l.Clone()
	l.Truncate(3)
	check(2)
	if l.configurationIndex() != 2 || fmt.Sprint(*clone.Configuration()) != want[4] {
		t.Errorf("made at %d; the clone has %v", l.configurationIndex(), *clone.Configuration())
	}
}
