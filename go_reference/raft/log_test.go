package raft

import (
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
	l := NewReplicatedLog(nil)
	if l.LastIndex() != 0 || l.LastTerm() != 0 || !l.Matches(0, 0) || l.Matches(1, 0) {
		t.Errorf("an empty log ends at %d in term %d", l.LastIndex(), l.LastTerm())
	}
	if got := l.Slice(1, 5); len(got) != 0 {
		t.Errorf("an empty log has %v", got)
	}
}

// §5.4.1
func TestUpToDateIsLastTermFirstThenLength(t *testing.T) {
	l := NewReplicatedLog(entriesOf(1, 3))
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
			l := NewReplicatedLog(entriesOf(1, 1, 2, 2))
			if first := l.Merge(c.prev, entriesOf(c.terms...)); first != c.first {
				t.Errorf("written from %d, want %d", first, c.first)
			}
			checkTerms(t, l, c.want...)
		})
	}
}

// §5.3, the end: "the leader can … bypass all of the conflicting entries in that term".
func TestLastPossibleMatchSkipsTerms(t *testing.T) {
	l := NewReplicatedLog(entriesOf(1, 1, 4, 4, 6))
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
	log, model := NewReplicatedLog(nil), []Entry{}
	for step := range 2000 {
		switch random.IntN(4) {
		case 0, 1:
			fresh := entriesOf(slices.Repeat([]uint64{uint64(step + 1)}, random.IntN(300))...)
			log.Append(fresh...)
			model = append(slices.Clip(model), fresh...)
		case 2:
			index := max(1, len(model)-random.IntN(400))
			log.Truncate(index)
			model = slices.Clip(model[:min(len(model), index-1)])
		case 3:
			first := 1 + random.IntN(len(model)+1)
			last := first + random.IntN(2*segmentSize)
			want := model[first-1 : max(first-1, min(last, len(model)))]
			kept = append(kept, handedOut{log.Slice(first, last), want})
		}
		if log.LastIndex() != len(model) {
			t.Fatalf("step %d: ends at %d, want %d", step, log.LastIndex(), len(model))
		}
	}
	kept = append(kept, handedOut{log.Slice(1, log.LastIndex()), model})
	for i, k := range kept {
		if !slices.Equal(k.got, k.want) {
			t.Fatalf("slice %d of %d is not what was there", i, len(kept))
		}
	}
}

func TestACloneIsALogOfItsOwn(t *testing.T) {
	original := NewReplicatedLog(entriesOf(slices.Repeat([]uint64{1}, segmentSize+3)...))
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
	l := NewReplicatedLog(entriesOf(slices.Repeat([]uint64{1}, 3*segmentSize)...))
	for _, last := range []int{0, 1, segmentSize - 1, segmentSize, segmentSize + 1, 3 * segmentSize, 9 * segmentSize} {
		got := slices.Collect(l.Until(last))
		if want := l.Slice(1, last); !slices.Equal(got, want) {
			t.Errorf("until %d: %d entries, want %d", last, len(got), len(want))
		}
	}
}
