package raft

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// The vectors are Python's too, tests/test_draws.py.
func TestEveryLanguageDrawsTheSame(t *testing.T) {
	var vectors struct {
		Published struct {
			State uint64
			Bits  []string
		}
		Streams []struct {
			Seed, Stream uint64
			Bits         []string
			Sample       []NodeID
		}
		FirstTimeouts []struct {
			Seed       uint64
			RangeNs    [2]time.Duration `json:"range_ns"`
			TimeoutsNs []time.Duration  `json:"timeouts_ns"`
		} `json:"first_timeouts"`
	}
	data, err := os.ReadFile("../../tests/vectors/draws.json")
	if err == nil {
		err = json.Unmarshal(data, &vectors)
	}
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, draws *Draws, want []string) {
		for i, bits := range want {
			if got := strconv.FormatUint(draws.Bits(), 10); got != bits {
				t.Errorf("%s: number %d is %s, want %s", what, i, got, bits)
			}
		}
	}
	check("published", &Draws{vectors.Published.State}, vectors.Published.Bits)
	for _, v := range vectors.Streams {
		check("stream", NewDraws(v.Seed, v.Stream), v.Bits)
		if got := NewDraws(v.Seed, v.Stream).Sample([]NodeID{1, 2, 3, 4, 5}, 3); !slices.Equal(got, v.Sample) {
			t.Errorf("of seed %d, stream %d: %v, want %v", v.Seed, v.Stream, got, v.Sample)
		}
	}
	for _, v := range vectors.FirstTimeouts {
		settings := Settings{Nodes: []NodeID{1, 2, 3, 4, 5}, ElectionTimeout: Range{v.RangeNs[0], v.RangeNs[1]}, Heartbeat: time.Second}
		for i, want := range v.TimeoutsNs {
			id := NodeID(i + 1)
			node := NewNode(id, settings, NewDraws(v.Seed, NodeTimeouts(id)).Float64, Saved{})
			if got := node.DrawnTimeout(); got != want {
				t.Errorf("seed %d: node %d begins with %d ns, want %d", v.Seed, id, got, want)
			}
		}
	}
	if len(vectors.Published.Bits) == 0 || len(vectors.Streams) == 0 || len(vectors.FirstTimeouts) == 0 {
		t.Error("there are no vectors")
	}
}
