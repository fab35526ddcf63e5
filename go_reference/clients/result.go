package clients

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"raftmark/lives"
	"raftmark/workload"
)

const (
	sliceLength = 10 * time.Millisecond
	parts       = 64
)

// A Result is what was measured; docs/protocol.md says what each field is.
type Result struct {
	Workload       string     `json:"workload"`
	Client         string     `json:"client"`
	StartedNs      int64      `json:"started_ns"`
	EndedNs        int64      `json:"ended_ns"`
	Connections    int        `json:"connections"`
	ConnectedNs    int64      `json:"connected_ns"`
	Rate           float64    `json:"rate"`
	Commands       int64      `json:"commands"`
	Saturated      bool       `json:"saturated"`
	LatencyNs      [][2]int64 `json:"latency_ns"`
	ServiceNs      [][2]int64 `json:"service_ns"`
	LatenessNs     [][2]int64 `json:"lateness_ns"`
	LongestNs      [][2]int64 `json:"longest_ns"`
	Slices         [][2]int64 `json:"slices"`
	Acknowledged   []uint64   `json:"acknowledged"`
	Connects       int64      `json:"connects"`
	Redirects      int64      `json:"redirects"`
	Retries        int64      `json:"retries"`
	GeneratorCPUNs int64      `json:"generator_cpu_ns"`
}

const described = "a goroutine of another program for each connection, one command under way"

// A tally counts answers. It is in parts, so that few clients wait for each other.
type tally struct {
	spec    *Spec
	start   time.Time
	startNs int64
	parts   [parts]part
	longest []time.Duration // of each client

	mu        sync.Mutex
	saturated bool
}

type part struct {
	mu                            sync.Mutex
	commands                      int64
	latencies, services, lateness workload.Histogram
	slices                        []int64
}

func newTally(spec *Spec) *tally {
	t := &tally{spec: spec, longest: make([]time.Duration, spec.Connections)}
	for i := range t.parts {
		t.parts[i].slices = make([]int64, (spec.length()-spec.warmup()+sliceLength-1)/sliceLength)
	}
	return t
}

func (t *tally) begin() { t.startNs, t.start = lives.Monotonic(), time.Now() }

// answered notes that a client's command was due, sent and answered then.
func (t *tally) answered(number int, due, sent, at time.Duration) {
	warmup, end := t.spec.warmup(), t.spec.length()
	if due >= warmup {
		t.longest[number] = max(t.longest[number], at-due)
	}
	p := &t.parts[number%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	if at >= warmup && at < end {
		p.slices[(at-warmup)/sliceLength]++
	}
	// Of an open loop those count that were due in time, of a closed one those that were answered.
	moment := at
	if t.spec.Rate > 0 {
		moment = due
	}
	if moment < warmup || moment >= end {
		return
	}
	p.commands++
	p.latencies.Add(at - due)
	p.services.Add(at - sent)
	p.lateness.Add(sent - due)
}

// giveUp notes that a client sends no more of what is due.
func (t *tally) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saturated = true
}

func (l *Load) result() (*Result, error) {
	t, spec := l.tally, l.spec
	r := &Result{
		Workload:    "service",
		Client:      described,
		StartedNs:   t.startNs + spec.warmup().Nanoseconds(),
		EndedNs:     t.startNs + spec.length().Nanoseconds(),
		Connections: spec.Connections,
		ConnectedNs: l.Connected.Nanoseconds(),
		Rate:        spec.Rate,
		Saturated:   t.saturated,
		Connects:    l.counts.connects.Load(),
		Redirects:   l.counts.redirects.Load(),
		Retries:     l.counts.retries.Load(),
	}
	var latencies, services, lateness, longest workload.Histogram
	slices := make([]int64, len(t.parts[0].slices))
	for i := range t.parts {
		p := &t.parts[i]
		r.Commands += p.commands
		latencies.Merge(p.latencies)
		services.Merge(p.services)
		lateness.Merge(p.lateness)
		for n, count := range p.slices {
			slices[n] += count
		}
	}
	for _, d := range t.longest {
		longest.Add(d)
	}
	r.LatencyNs, r.ServiceNs, r.LatenessNs, r.LongestNs =
		latencies.Buckets(), services.Buckets(), lateness.Buckets(), longest.Buckets()
	for n, count := range slices {
		end := min(time.Duration(n+1)*sliceLength, spec.length()-spec.warmup())
		r.Slices = append(r.Slices, [2]int64{end.Nanoseconds(), count})
	}
	for _, c := range l.clients {
		r.Acknowledged = append(r.Acknowledged, c.answered)
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return nil, err
	}
	r.GeneratorCPUNs = usage.Utime.Nano() + usage.Stime.Nano()
	return r, nil
}
