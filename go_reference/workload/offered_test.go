package workload

import (
	"slices"
	"testing"
	"time"

	"raftmark/raft"
)

const ms = time.Millisecond

func TestCommandsAreDueByTheirNumberAlone(t *testing.T) {
	spec := Offered{Rate: 3, Warmup: time.Second, Duration: 2 * time.Second}
	for number, want := range map[int64]time.Duration{0: 0, 1: 333333333, 2: 666666666} {
		if spec.due(number) != want {
			t.Errorf("command %d is due at %v, want %v", number, spec.due(number), want)
		}
	}
	if got := spec.due(3 * 3600); got != time.Hour {
		t.Errorf("an hour's last is due at %v", got)
	}
	if first, total := spec.dueBefore(spec.Warmup), spec.dueBefore(spec.Length()); first != 3 || total != 9 {
		t.Errorf("%d in the warm-up, %d in all", first, total)
	}
}

// take lets a loop take as many commands as were sent at each of these moments.
func take(load *OpenLoop, counts []int, moments ...time.Duration) (taken []int) {
	for i, now := range moments {
		commands, rest := load.Take(slices.Repeat([]time.Duration{now}, counts[i]), now)
		for len(rest) > 0 {
			var more []*raft.Command
			more, rest = load.Take(rest, now)
			commands = append(commands, more...)
		}
		taken = append(taken, len(commands))
	}
	return taken
}

func TestLatenessIsSentLessDue(t *testing.T) {
	load := Offered{Load: Load{Keys: 10, Session: "s"}, Rate: 1000, Clients: 2, Limit: 100, Warmup: 2 * ms, Duration: 3 * ms}.Begin()
	if got, rest := load.Take([]time.Duration{5, ms + 7, 2*ms + 64}, 2*ms+64); len(got) != 2 || len(rest) != 1 {
		t.Errorf("took %d in the warm-up, left %v", len(got), rest)
	}
	load.Take([]time.Duration{2*ms + 64, 3 * ms, 4*ms + 3200}, 4*ms+3200)
	load.Record(5, 5*ms)
	result := load.Result(0, raft.Counters{}, raft.Counters{})
	if want := [][2]int64{{0, 1}, {64, 1}, {3200, 1}}; !slices.Equal(result.LatenessNs, want) {
		t.Errorf("lateness %v, want %v", result.LatenessNs, want)
	}
	sums := map[string]int64{}
	for name, histogram := range map[string][][2]int64{"all": result.LatencyNs, "served": result.ServiceNs, "late": result.LatenessNs} {
		for _, bucket := range histogram {
			sums[name] += bucket[0] * bucket[1]
		}
	}
	// To within the buckets, one part in 128.
	if apart := sums["all"] - sums["served"] - sums["late"]; apart < -sums["all"]/64 || apart > sums["all"]/64 {
		t.Errorf("latency is not lateness and service time: %v", sums)
	}
}

func TestSessionsTakeTurns(t *testing.T) {
	load := Offered{Load: Load{Payload: 2, Keys: 4, Session: "s"}, Rate: 1000, Clients: 3, Limit: 100, Duration: 5 * ms}.Begin()
	var got []string
	commands, _ := load.Take(make([]time.Duration, 5), 0)
	for _, c := range commands {
		got = append(got, *c.Client+" "+c.Key+" "+*c.Value)
		if want := uint64(1 + (len(got)-1)/3); c.Serial != want {
			t.Errorf("command %d has serial %d", len(got)-1, c.Serial)
		}
	}
	if want := []string{"s-0 key-3 xx", "s-1 key-0 xx", "s-2 key-1 xx", "s-0 key-2 xx", "s-1 key-3 xx"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLatencyRunsFromWhenACommandWasDue(t *testing.T) {
	load := Offered{Load: Load{Keys: 1}, Rate: 1000, Clients: 1, Limit: 10, Warmup: 2 * ms, Duration: 250 * ms}.Begin()
	take(load, []int{1, 1}, 0, ms) // the warm-up
	load.Record(2, ms)
	// A stall: those due at 2 to 11 ms come when they have been due for long.
	load.Take(slices.Repeat([]time.Duration{102 * ms}, 10), 11*ms)
	result := load.Result(1000, raft.Counters{Saves: 1}, raft.Counters{Saves: 4})
	if result.Saturated || result.Sent != 10 || result.Commands != 0 || result.Counters.Saves != 3 {
		t.Errorf("%+v", result)
	}
	load.Record(4, 102*ms) // 100, 99, 98, 97 ms late, but served at once
	load.Record(6, 152*ms)
	result = load.Result(1000, raft.Counters{}, raft.Counters{})
	var total int64
	for _, bucket := range result.LatencyNs {
		total += bucket[1]
	}
	if lowest, highest := result.LatencyNs[0][0], result.LatencyNs[len(result.LatencyNs)-1][0]; total != 10 ||
		lowest != lowestOf(97*ms) || highest != lowestOf(146*ms) {
		t.Errorf("latencies %v", result.LatencyNs)
	}
	if want := [][2]int64{{0, 4}, {lowestOf(50 * ms), 6}}; !slices.Equal(result.ServiceNs, want) {
		t.Errorf("service times %v, want %v", result.ServiceNs, want)
	}
	if want := [][2]int64{{100e6, 0}, {200e6, 10}, {250e6, 0}}; !slices.Equal(result.Slices, want) {
		t.Errorf("slices %v, want %v", result.Slices, want)
	}
	if result.StartedNs != 1000+2e6 || result.EndedNs != 1000+252e6 || result.Acknowledged[0] != 12 {
		t.Errorf("%+v", result)
	}
}

func lowestOf(d time.Duration) int64 { return lowest(bucketOf(uint64(d))) }

func TestALoadThatIsGivenUpInTheWarmUpCountsNothing(t *testing.T) {
	load := Offered{Load: Load{Keys: 1}, Rate: 1000, Clients: 1, Limit: 3, Warmup: time.Second, Duration: time.Second}.Begin()
	if got := take(load, []int{1, 2, 1, 1}, 0, 2*ms, 3*ms, 4*ms); !slices.Equal(got, []int{1, 2, 0, 0}) || !load.GivenUp() {
		t.Errorf("took %v", got)
	}
	load.Record(3, 4*ms)
	result := load.Result(0, raft.Counters{}, raft.Counters{Saves: 1})
	if !result.Saturated || result.Sent != 0 || result.Commands != 0 || len(result.LatencyNs) != 0 || result.Counters.Saves != 0 {
		t.Errorf("%+v", result)
	}
}
