package workload

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"raftmark/raft"
)

func TestATallyCountsUntilItIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally := NewTally()
		hear := func(after time.Duration, node raft.NodeID, index int, term uint64) {
			time.Sleep(after)
			tally.Acknowledge(node, raft.Outcome{Index: index, Term: term})
		}
		hear(0, 1, 7, 2)
		hear(10*ms, 1, 9, 2)
		hear(5*ms, 1, 8, 2)
		tally.Retry()
		hear(20*ms, 3, 10, 5)
		hear(0, 3, 11, 5)
		time.Sleep(17 * ms)
		if got := tally.Commands(); got != 5 {
			t.Errorf("%d commands", got)
		}
		heard := tally.Close()
		hear(time.Second, 2, 99, 9)
		tally.Retry()
		if heard.Commands != 5 || heard.Retries != 1 || heard.LastIndex != 11 || heard.Length != 52*ms {
			t.Errorf("%+v", heard)
		}
		if want := [][2]int64{{10e6, 1}, {20e6, 2}, {30e6, 0}, {40e6, 2}, {50e6, 0}, {52e6, 0}}; !slices.Equal(heard.Slices, want) {
			t.Errorf("slices %v, want %v", heard.Slices, want)
		}
		if want := []First{{2, 1, 0}, {5, 3, 35 * ms}}; !slices.Equal(heard.Firsts, want) {
			t.Errorf("firsts %v, want %v", heard.Firsts, want)
		}
		if again := tally.Close(); again.Commands != 5 {
			t.Errorf("%+v", again)
		}
	})
}

func TestASliceThatHasJustBegunIsPartOfTheTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally := NewTally()
		time.Sleep(10 * ms)
		tally.Acknowledge(1, raft.Outcome{Index: 1, Term: 1})
		heard := tally.Close()
		var sum int64
		for _, slice := range heard.Slices {
			sum += slice[1]
		}
		if last := heard.Slices[len(heard.Slices)-1]; sum != 1 || last[0] != 10e6 || len(heard.Slices) != 1 {
			t.Errorf("%v", heard.Slices)
		}
	})
}
