// Package workload holds the workloads of docs/protocol.md as far as no concurrency model
// shapes them: what is sent, and how what was measured is kept.
package workload

import (
	"math"
	"sync/atomic"
	"time"

	"raftmark/raft"
)

const sliceLength = 100 * time.Millisecond

// Replicate specifies the closed loop: Outstanding clients, each with one command under
// way. What is acknowledged within Warmup, or after Length, does not count.
type Replicate struct {
	Load
	Outstanding int
	Warmup      time.Duration
	Duration    time.Duration
}

// Length is how long clients go on sending.
func (r Replicate) Length() time.Duration { return r.Warmup + r.Duration }

// Replicated is the raw result of [Replicate].
type Replicated struct {
	Workload     string      `json:"workload"`
	Node         raft.NodeID `json:"node"`
	Client       string      `json:"client"`
	StartedNs    int64       `json:"started_ns"`
	EndedNs      int64       `json:"ended_ns"`
	Commands     int64       `json:"commands"`
	LatencyNs    [][2]int64  `json:"latency_ns"`
	Slices       [][2]int64  `json:"slices"`
	Acknowledged []uint64    `json:"acknowledged"`
	Counters     Counters    `json:"counters"`
}

// A Client is one session of a closed loop, and what it has measured. It belongs to one
// goroutine until the run is over.
type Client struct {
	*Session
	spec      *Replicate
	latencies Histogram
	slices    []atomic.Int64 // all clients' commands
	slice     int            // the present one
	commands  int64          // in that
	first     time.Duration  // the first acknowledgement after the warm-up
	last      time.Duration  // the last of all, and the only one after the duration
}

// Clients are all sessions of the loop.
func (r Replicate) Clients() []*Client {
	slices := make([]atomic.Int64, (r.Duration+sliceLength-1)/sliceLength)
	clients := make([]*Client, r.Outstanding)
	for number, session := range r.Sessions(r.Outstanding) {
		clients[number] = &Client{Session: session, spec: &r, slices: slices}
	}
	return clients
}

// Record notes that a command was sent and acknowledged so long after the start of the
// warm-up.
func (c *Client) Record(sent, acknowledged time.Duration) {
	c.last = acknowledged
	since := acknowledged - c.spec.Warmup
	if since < 0 {
		return
	}
	if c.first == 0 {
		c.first = acknowledged
	}
	if since >= c.spec.Duration {
		return
	}
	c.latencies.Add(acknowledged - sent)
	if slice := int(since / sliceLength); slice != c.slice {
		c.endSlice()
		c.slice = slice
	}
	c.commands++
}

// endSlice adds the present slice's commands to those of all clients.
func (c *Client) endSlice() {
	c.slices[c.slice].Add(c.commands)
	c.commands = 0
}

// Result puts together what the clients of a run measured, which began its warm-up at
// startNs. Counters are those of the leader at the beginning and the end of the measured
// time. It is an error if nothing was acknowledged in that.
func (r Replicate) Result(
	clients []*Client, startNs int64, before, after Counters,
) (*Replicated, error) {
	started, ended := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for _, client := range clients {
		if client.serial > 0 {
			started, ended = min(started, client.first), min(ended, client.last)
		}
	}
	if started >= r.Length() {
		return nil, raft.Errorf(raft.Unavailable,
			"nothing was acknowledged in the measured time; make duration_s longer")
	}
	result := &Replicated{
		Workload:  "replicate",
		StartedNs: startNs + started.Nanoseconds(),
		EndedNs:   startNs + ended.Nanoseconds(),
		Counters:  after.Since(before),
	}
	var latencies Histogram
	for _, client := range clients {
		result.Acknowledged = append(result.Acknowledged, client.serial)
		latencies.Merge(client.latencies)
		client.endSlice()
	}
	slices := clients[0].slices
	for slice := range slices {
		commands := slices[slice].Load()
		result.Commands += commands
		end := r.Warmup + time.Duration(slice+1)*sliceLength
		if slice == len(slices)-1 {
			end = ended
		}
		if end > started {
			result.Slices = append(result.Slices, [2]int64{(end - started).Nanoseconds(), commands})
		}
	}
	result.LatencyNs = latencies.Buckets()
	return result, nil
}
