package raft

import (
	"slices"
	"testing"
	"time"
)

// draws returns the given numbers, one a call.
func draws(numbers ...float64) func() float64 {
	return func() float64 {
		first := numbers[0]
		numbers = numbers[1:]
		return first
	}
}

func TestPerfectLinksDeliverAtOnce(t *testing.T) {
	if !(Links{}).Perfect() {
		t.Error("the zero value has faults")
	}
	got := Links{}.Delays(1, 2, draws(0, 0, 0))
	if !slices.Equal(got, []time.Duration{0}) {
		t.Errorf("delays %v", got)
	}
}

func TestOnlyNodesOfAGroupReachEachOther(t *testing.T) {
	links := Links{}.Partitioned([][]NodeID{{1, 3}, {2}})
	for from := NodeID(1); from <= 4; from++ {
		for to := NodeID(1); to <= 4; to++ {
			if from == to {
				continue
			}
			together := from+to == 4 && from != 2
			if got := len(links.Delays(from, to, draws(0.5, 0.5, 0.5))) == 1; got != together {
				t.Errorf("%d reaches %d: %v", from, to, got)
			}
		}
	}
	if links.Perfect() || !links.Partitioned(nil).Perfect() {
		t.Error("healing does not heal")
	}
	if alone := (Links{}).Partitioned([][]NodeID{}); alone.Perfect() || alone.Delays(1, 2, draws(1)) != nil {
		t.Error("with no groups at all every node is alone")
	}
}

func TestABlockedWayLeavesTheWayBackOpen(t *testing.T) {
	reaches := func(links Links, from, to NodeID) bool {
		return len(links.Delays(from, to, draws(0.5, 0.5, 0.5))) == 1
	}
	links := Links{}.Blocked([]Way{{1, 2}})
	if reaches(links, 1, 2) || !reaches(links, 2, 1) || !reaches(links, 1, 3) || links.Perfect() {
		t.Error("not just the way from 1 to 2 is blocked")
	}
	if links = links.Partitioned([][]NodeID{{1, 2}, {3}}); !reaches(links, 1, 2) || reaches(links, 1, 3) {
		t.Error("groups do not replace blocked ways")
	}
	if links = links.Blocked([]Way{{2, 1}}); reaches(links, 2, 1) || !reaches(links, 1, 3) {
		t.Error("blocked ways do not replace groups")
	}
	if !links.Blocked(nil).Perfect() || !links.Partitioned(nil).Perfect() {
		t.Error("healing does not heal")
	}
}

func TestACutComesOnTopOfThePartition(t *testing.T) {
	reaches := func(links Links, from, to NodeID) bool {
		return len(links.Delays(from, to, draws(0.5, 0.5, 0.5))) == 1
	}
	cut := []Way{{1, 2}, {1, 3}}
	for name, links := range map[string]Links{
		"none": {}, "blocked": Links{}.Blocked([]Way{{2, 4}}), "groups": Links{}.Partitioned([][]NodeID{{1, 2, 3}, {4}}),
	} {
		with := links.Cut(cut)
		if reaches(with, 1, 2) || reaches(with, 1, 3) || !reaches(with, 2, 1) {
			t.Errorf("%s: not just those are cut", name)
		}
		if reaches(with, 2, 4) != (name == "none") || reaches(with.Mended(cut), 2, 4) != (name == "none") {
			t.Errorf("%s: the cut changes the partition", name)
		}
		if !reaches(with.Mended(cut), 1, 2) || with.Mended(cut).Perfect() != links.Perfect() {
			t.Errorf("%s: it is not mended", name)
		}
	}
}

func TestFaultsAreDrawn(t *testing.T) {
	faults := Faults{Drop: 0.5, Duplicate: 0.5, Delay: Range{10, 20}}
	for name, c := range map[string]struct {
		draws []float64
		want  []time.Duration
	}{
		"lost":      {[]float64{0.4}, nil},
		"delivered": {[]float64{0.5, 0.3, 0.5}, []time.Duration{13}},
		"twice":     {[]float64{0.9, 0.0, 0.4, 0.9}, []time.Duration{10, 19}},
	} {
		if got := (Links{}).Degraded(faults).Delays(1, 2, draws(c.draws...)); !slices.Equal(got, c.want) {
			t.Errorf("%s: delays %v, want %v", name, got, c.want)
		}
	}
}
