package workload

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"raftmark/raft"
)

// docs/protocol.md: "a value v below 256 is its own bucket; a larger one, with b bits, falls
// in the bucket that starts at (v >> (b−8)) << (b−8)".
func TestBucketsBeginWhereTheProtocolSays(t *testing.T) {
	for _, c := range []struct{ value, lowest int64 }{
		{0, 0}, {1, 1}, {255, 255}, {256, 256}, {257, 256}, {258, 258}, {511, 510}, {512, 512}, {515, 512},
		{1_000_000, 999_424}, {1<<62 + 12345, 1 << 62}, {1<<63 - 1, 255 << 55},
	} {
		var h Histogram
		h.Add(time.Duration(c.value))
		if got, want := h.Buckets(), [][2]int64{{c.lowest, 1}}; !slices.Equal(got, want) {
			t.Errorf("%d is in %v, want %v", c.value, got, want)
		}
	}
}

func TestBucketsAreNumberedWithoutGaps(t *testing.T) {
	for bucket := range 5000 {
		if got := bucketOf(uint64(lowest(bucket))); got != bucket {
			t.Fatalf("bucket %d begins at %d, which is in bucket %d", bucket, lowest(bucket), got)
		}
		if got := bucketOf(uint64(lowest(bucket+1) - 1)); got != bucket {
			t.Fatalf("%d is in bucket %d, not in %d", lowest(bucket+1)-1, got, bucket)
		}
	}
}

func TestMergedHistogramsCountEverything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var all, merged Histogram
	for range 10 {
		var part Histogram
		for range 100 {
			value := time.Duration(random.Uint64N(1 << random.Uint64N(40)))
			all.Add(value)
			part.Add(value)
		}
		merged.Merge(part)
	}
	if got, want := merged.Buckets(), all.Buckets(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAClientsCommands(t *testing.T) {
	sessions := Load{Payload: 4, Keys: 7, Session: "run"}.Sessions(3)
	client := sessions[2]
	for serial, key := range map[uint64]string{1: "key-5", 2: "key-1", 3: "key-4"} {
		client.serial = serial - 1
		command := client.Next()
		if command.Key != key || *command.Value != "xxxx" || *command.Client != "run-2" || command.Serial != serial {
			t.Errorf("serial %d sets %s to %s for %s", command.Serial, command.Key, *command.Value, *command.Client)
		}
	}
}

func TestOnlyTheMeasuredTimeCounts(t *testing.T) {
	spec := Replicate{Outstanding: 2, Load: Load{Keys: 1}, Warmup: time.Second, Duration: 250 * time.Millisecond, Slice: 100 * time.Millisecond}
	clients := spec.Clients()
	record := func(client int, at time.Duration, more bool) {
		clients[client].Next()
		if clients[client].Record((at-10)*time.Millisecond, at*time.Millisecond) != more {
			t.Errorf("after %d ms client %d thinks otherwise of sending more", at, client)
		}
	}
	record(0, 999, true)
	record(0, 1010, true) // The measured time begins,
	record(1, 1005, true) // and what was acknowledged before is not in it.
	record(1, 1100, true)
	record(1, 1199, true)
	record(0, 1249, true)
	record(1, 1270, false)
	record(0, 1260, false) // It ends with the first that is acknowledged after the duration.
	result := spec.Result(clients, 5e9, raft.Counters{Messages: 1, Saves: 2, SaveNs: 4, Entries: 3}, raft.Counters{Messages: 10, Saves: 20, SaveNs: 40, Entries: 30})
	if result.StartedNs != 6.01e9 || result.EndedNs != 6.26e9 || result.Commands != 4 {
		t.Errorf("%+v", result)
	}
	if want := [][2]int64{{100e6, 1}, {200e6, 1}, {250e6, 2}}; !slices.Equal(result.Slices, want) {
		t.Errorf("slices %v, want %v", result.Slices, want)
	}
	if want := []uint64{4, 4}; !slices.Equal(result.Acknowledged, want) {
		t.Errorf("acknowledged %v, want %v", result.Acknowledged, want)
	}
	if want := (raft.Counters{Messages: 9, Saves: 18, SaveNs: 36, Entries: 27}); result.Counters != want {
		t.Errorf("counters %+v", result.Counters)
	}
	if len(result.LatencyNs) != 1 || result.LatencyNs[0][1] != 4 {
		t.Errorf("latencies %v", result.LatencyNs)
	}
}

func TestSlicesAreAsShortAsTheyAreAskedToBe(t *testing.T) {
	spec := Replicate{Outstanding: 1, Load: Load{Keys: 1}, Duration: 12 * time.Millisecond, Slice: 5 * time.Millisecond}
	clients := spec.Clients()
	for _, at := range []time.Duration{1, 2, 4, 12, 14} { // It was stopped from 4 to 12.
		clients[0].Next()
		clients[0].Record(0, at*time.Millisecond)
	}
	result := spec.Result(clients, 0, raft.Counters{}, raft.Counters{})
	if want := [][2]int64{{5e6, 2}, {10e6, 0}, {13e6, 2}}; !slices.Equal(result.Slices, want) {
		t.Errorf("slices %v, want %v", result.Slices, want)
	}
}

func TestTheMeasuredTimeIsNeverShorterThanTheDuration(t *testing.T) {
	spec := Replicate{Outstanding: 1, Load: Load{Keys: 1}, Duration: 300 * time.Millisecond, Slice: 100 * time.Millisecond}
	clients := spec.Clients()
	for _, at := range []time.Duration{150, 440, 500} { // A stall right at the beginning.
		clients[0].Next()
		clients[0].Record(0, at*time.Millisecond)
	}
	result := spec.Result(clients, 0, raft.Counters{}, raft.Counters{})
	if result.StartedNs != 150e6 || result.EndedNs != 500e6 || result.Commands != 2 {
		t.Errorf("%+v", result)
	}
	if want := [][2]int64{{100e6, 0}, {200e6, 0}, {350e6, 2}}; !slices.Equal(result.Slices, want) {
		t.Errorf("slices %v, want %v", result.Slices, want)
	}
}
