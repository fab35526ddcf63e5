// Package workload holds the workloads of docs/protocol.md as far as no concurrency model
// shapes them: what is sent, and how what was measured is kept.
package workload

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"raftmark/raft"
)

// Replicate specifies the closed loop: Outstanding clients, each with one command under
// way. Measured are the acknowledgements of the Duration that follows the first one after Warmup,
// counted by the Slice.
type Replicate struct {
	Load
	Outstanding int
	Warmup      time.Duration
	Duration    time.Duration
	Slice       time.Duration
}

// Length is about how long clients go on sending.
func (r Replicate) Length() time.Duration { return r.Warmup + r.Duration }

// Replicated is the raw result of [Replicate].
type Replicated struct {
	Workload     string        `json:"workload"`
	Node         raft.NodeID   `json:"node"`
	Client       string        `json:"client"`
	StartedNs    int64         `json:"started_ns"`
	EndedNs      int64         `json:"ended_ns"`
	Commands     int64         `json:"commands"`
	LatencyNs    [][2]int64    `json:"latency_ns"`
	Slices       [][2]int64    `json:"slices"`
	Acknowledged []uint64      `json:"acknowledged"`
	Counters     raft.Counters `json:"counters"`
}

// A Client is one session of a closed loop, and what it has measured. It belongs to one
// goroutine until the run is over.
type Client struct {
	*Session
	spec      *Replicate
	began     *atomic.Int64 // when the measured time did, once it has; all clients'
	latencies Histogram
	slices    []atomic.Int64 // all clients' commands
	slice     int            // the present one
	commands  int64          // in that
	sent      time.Duration  // the last command, which was acknowledged after the measured time
	last      time.Duration  // and when
}

// Clients are all sessions of the loop.
func (r Replicate) Clients() []*Client {
	counts := make([]atomic.Int64, (r.Duration+r.Slice-1)/r.Slice)
	began := new(atomic.Int64)
	clients := make([]*Client, r.Outstanding)
	for number, session := range r.Sessions(r.Outstanding) {
		clients[number] = &Client{Session: session, spec: &r, began: began, slices: counts}
	}
	return clients
}

// Record notes that a command was sent and acknowledged so long after the start of the
// warm-up. It reports whether the client is to send another.
func (c *Client) Record(sent, acknowledged time.Duration) (more bool) {
	if acknowledged < c.spec.Warmup {
		return true
	}
	began := time.Duration(c.began.Load())
	if began == 0 {
		if c.began.CompareAndSwap(0, int64(acknowledged)) {
			return true
		}
		began = time.Duration(c.began.Load())
	}
	since := acknowledged - began
	if since >= c.spec.Duration {
		c.sent, c.last = sent, acknowledged
		return false
	}
	if since < 0 { // Another client was the first to note one that came a moment later.
		return true
	}
	c.latencies.Add(acknowledged - sent)
	if slice := int(since / c.spec.Slice); slice != c.slice {
		c.endSlice()
		c.slice = slice
	}
	c.commands++
	return true
}

// endSlice adds the present slice's commands to those of all clients.
func (c *Client) endSlice() {
	c.slices[c.slice].Add(c.commands)
	c.commands = 0
}

// Result puts together what the clients of a run measured, which began its warm-up at
// startNs. The first acknowledgement after the duration ends the measured time and is the last
// that counts. Counters are those of the leader at the beginning and the end.
func (r Replicate) Result(clients []*Client, startNs int64, before, after raft.Counters) *Replicated {
	started := clients[0].began.Load()
	ender := slices.MinFunc(clients, func(a, b *Client) int { return cmp.Compare(a.last, b.last) })
	ender.latencies.Add(ender.last - ender.sent)
	measured := ender.last.Nanoseconds() - started
	result := &Replicated{
		Workload:  "replicate",
		StartedNs: startNs + started,
		EndedNs:   startNs + ender.last.Nanoseconds(),
		Counters:  after.Since(before),
	}
	var latencies Histogram
	for _, client := range clients {
		result.Acknowledged = append(result.Acknowledged, client.serial)
		latencies.Merge(client.latencies)
		client.endSlice()
	}
	result.LatencyNs = latencies.Buckets()
	counts := clients[0].slices
	counts[len(counts)-1].Add(1)
	for slice := range counts {
		commands, end := counts[slice].Load(), (time.Duration(slice+1) * r.Slice).Nanoseconds()
		if slice == len(counts)-1 {
			end = measured
		}
		result.Commands += commands
		result.Slices = append(result.Slices, [2]int64{end, commands})
	}
	return result
}
