package lives_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"raftmark/raft"
	"raftmark/workload"
)

var spec = workload.Replicate{
	Load:        workload.Load{Payload: 3, Keys: 5, Session: "s"},
	Outstanding: 8, Warmup: 100 * time.Millisecond, Duration: 250 * time.Millisecond, Slice: 100 * time.Millisecond,
}

// slowly lets every message take a millisecond of the simulated time, so that it passes.
func slowly(s *scenario) raft.NodeID {
	leader := s.leader(s.ids...)
	s.Degrade(raft.Faults{Delay: raft.Range{Low: time.Millisecond, High: time.Millisecond}})
	return leader
}

func TestReplicateMeasuresWhatHappened(t *testing.T) {
	bubble(t, 3, "", func(s *scenario) {
		leader := slowly(s)
		var shares []float64
		result, err := s.Replicate(s.t.Context(), leader, spec, func(share float64) { shares = append(shares, share) })
		s.must(err)

		// A command takes a message there and one back: at most 125 a client in the measured
		// time, and fewer as messages overtake each other.
		if result.Commands < 8 || result.Commands > 8*125 {
			s.t.Errorf("%d commands", result.Commands)
		}
		if latencies := result.LatencyNs; latencies[0][0] != 1998848 || sum(latencies) != result.Commands {
			s.t.Errorf("latencies %v", latencies)
		}
		if slices := result.Slices; len(slices) != 3 || slices[2][0] != result.EndedNs-result.StartedNs || sum(slices) != result.Commands {
			s.t.Errorf("slices %v", result.Slices)
		}
		if got := result.EndedNs - result.StartedNs; got < 200e6 || got > 350e6 {
			s.t.Errorf("measured for %d ns", got)
		}
		if c := result.Counters; abs(int64(c.Entries)-result.Commands) > 2*8 || c.Messages < 2*c.Saves || c.Bytes != nil {
			s.t.Errorf("counters %+v", c)
		}
		if !slices.IsSorted(shares) || len(shares) == 0 {
			s.t.Errorf("progress %v", shares)
		}

		s.agree(s.ids...)
		log, err := s.Log(leader, 1, 1<<30)
		s.must(err)
		last := map[string]uint64{}
		for _, entry := range log.Entries {
			if client := entry.Command.Client; client != nil {
				last[*client]++
				if entry.Command.Serial != last[*client] {
					s.t.Fatalf("%s's serial %d follows %d", *client, entry.Command.Serial, last[*client]-1)
				}
			}
		}
		for c, acknowledged := range result.Acknowledged {
			if got := last[fmt.Sprintf("s-%d", c)]; got != acknowledged {
				s.t.Errorf("client %d has %d commands in the log, %d acknowledged", c, got, acknowledged)
			}
		}
	})
}

func abs(n int64) int64 { return max(n, -n) }

func sum(counts [][2]int64) (total int64) {
	for _, count := range counts {
		total += count[1]
	}
	return total
}

func TestReplicateFailsWithItsLeader(t *testing.T) {
	for name, fault := range map[string]func(s *scenario, leader raft.NodeID, cancel func()){
		"crash":        func(s *scenario, leader raft.NodeID, _ func()) { _, err := s.Crash(leader); s.must(err) },
		"cancellation": func(_ *scenario, _ raft.NodeID, cancel func()) { cancel() },
		"cancellation of a paused one": func(s *scenario, leader raft.NodeID, cancel func()) {
			s.must(s.Pause(leader))
			cancel()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, "", func(s *scenario) {
				leader := slowly(s)
				ctx, cancel := context.WithCancelCause(s.t.Context())
				time.AfterFunc(200*time.Millisecond, func() {
					fault(s, leader, func() { cancel(errors.New("enough")) })
				})
				result, err := s.Replicate(ctx, leader, spec, func(float64) {})
				if err == nil {
					s.t.Errorf("it came to %+v", result)
				}
			})
		})
	}
}
