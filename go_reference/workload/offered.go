package workload

import (
	"math"
	"sync/atomic"
	"time"

	"raftmark/raft"
)

const sliceLength = 100 * time.Millisecond

// Offered specifies the open loop: Rate commands a second, whatever becomes of them, by so
// many Clients in turn. With Limit of them outstanding the load is given up. Those that are
// due within Warmup do not count. Start makes what keeps the time, [StartSender] as a rule.
type Offered struct {
	Load
	Rate     float64
	Clients  int
	Limit    int
	Warmup   time.Duration
	Duration time.Duration
	Start    func(Offered) (Sender, error)
}

// Length is how long commands are due.
func (o Offered) Length() time.Duration { return o.Warmup + o.Duration }

// due is when a command is to be sent, counted from the start of the warm-up. It depends on
// its number alone, so that no delay adds up.
func (o Offered) due(number int64) time.Duration {
	return time.Duration(float64(number) * float64(time.Second) / o.Rate)
}

// dueBefore is how many commands are due before that moment.
func (o Offered) dueBefore(moment time.Duration) int64 {
	return int64(math.Ceil(float64(moment) * o.Rate / float64(time.Second)))
}

// OfferedResult is the raw result of [Offered].
type OfferedResult struct {
	Workload     string        `json:"workload"`
	Node         raft.NodeID   `json:"node"`
	Client       string        `json:"client"`
	StartedNs    int64         `json:"started_ns"`
	EndedNs      int64         `json:"ended_ns"`
	Rate         float64       `json:"rate"`
	Sent         int64         `json:"sent"`
	Commands     int64         `json:"commands"`
	Saturated    bool          `json:"saturated"`
	LatencyNs    [][2]int64    `json:"latency_ns"`
	ServiceNs    [][2]int64    `json:"service_ns"`
	LatenessNs   [][2]int64    `json:"lateness_ns"`
	SenderCPUNs  int64         `json:"sender_cpu_ns"`
	Slices       [][2]int64    `json:"slices"`
	Acknowledged []uint64      `json:"acknowledged"`
	Counters     raft.Counters `json:"counters"`
}

// An OpenLoop is a run of [Offered]: one goroutine takes what a sender sent, and another records
// the answers, which come in the order of the commands, as a leader applies them. All moments
// count from the start of the warm-up.
type OpenLoop struct {
	spec     Offered
	sessions []*Session
	first    int64           // the number of the first command that counts
	total    int64           // how many are due at all
	sentAt   []time.Duration // when each of those outstanding was sent, by number modulo limit
	answered atomic.Int64

	// The taker's.
	sent      int64
	saturated bool
	lateness  Histogram

	// The recorder's.
	latencies, services Histogram
	slices              []int64
}

// Begin prepares a run.
func (o Offered) Begin() *OpenLoop {
	return &OpenLoop{
		spec:     o,
		sessions: o.Sessions(o.Clients),
		first:    o.dueBefore(o.Warmup),
		total:    o.dueBefore(o.Length()),
		sentAt:   make([]time.Duration, o.Limit),
		slices:   make([]int64, (o.Duration+sliceLength-1)/sliceLength),
	}
}

// Sent is how many commands were sent.
func (l *OpenLoop) Sent() int64 { return l.sent }

// GivenUp reports whether the limit was reached.
func (l *OpenLoop) GivenUp() bool { return l.saturated }

// Warm reports whether the next command is the first that counts.
func (l *OpenLoop) Warm() bool { return l.sent == l.first }

// Take makes the commands that a sender sent at these moments, at most as many as are in the
// warm-up, or after it; the rest is to be taken next. The load is given up when more are due by now
// and not answered than the limit, and no more than that are made.
func (l *OpenLoop) Take(sent []time.Duration, now time.Duration) (commands []*raft.Command, rest []time.Duration) {
	due := min(l.total, l.spec.dueBefore(now+1))
	room := l.answered.Load() + int64(l.spec.Limit)
	warming := l.sent < l.first
	for i, at := range sent {
		if l.sent >= room {
			break
		}
		if warming && l.sent == l.first {
			return commands, sent[i:]
		}
		if !warming {
			l.lateness.Add(max(0, at-l.spec.due(l.sent)))
		}
		l.sentAt[l.sent%int64(l.spec.Limit)] = at
		commands = append(commands, l.sessions[l.sent%int64(len(l.sessions))].Next())
		l.sent++
	}
	l.saturated = due > room
	return commands, nil
}

// Record notes that the next so many commands were acknowledged, by now.
func (l *OpenLoop) Record(count int, now time.Duration) {
	number := l.answered.Load()
	for end := number + int64(count); number < end; number++ {
		if number >= l.first {
			l.latencies.Add(now - l.spec.due(number))
			l.services.Add(now - l.sentAt[number%int64(l.spec.Limit)])
		}
	}
	if since := now - l.spec.Warmup; since >= 0 && since < l.spec.Duration {
		l.slices[since/sliceLength] += int64(count)
	}
	l.answered.Store(number)
}

// Answered is how many commands were acknowledged.
func (l *OpenLoop) Answered() int64 { return l.answered.Load() }

// Result puts together what was measured, when all that was sent is answered. The warm-up
// began at startNs; before are the leader's counters when the first command that counts was to
// be sent, after those of now.
func (l *OpenLoop) Result(startNs int64, before, after raft.Counters) *OfferedResult {
	startedNs := startNs + l.spec.Warmup.Nanoseconds()
	result := &OfferedResult{
		Workload:   "offered",
		StartedNs:  startedNs,
		EndedNs:    startedNs + l.spec.Duration.Nanoseconds(),
		Rate:       l.spec.Rate,
		Sent:       max(0, l.sent-l.first),
		Commands:   max(0, l.Answered()-l.first),
		Saturated:  l.saturated,
		LatencyNs:  l.latencies.Buckets(),
		ServiceNs:  l.services.Buckets(),
		LatenessNs: l.lateness.Buckets(),
	}
	if result.Sent > 0 {
		result.Counters = after.Since(before)
	}
	for slice, count := range l.slices {
		end := min(time.Duration(slice+1)*sliceLength, l.spec.Duration)
		result.Slices = append(result.Slices, [2]int64{end.Nanoseconds(), count})
	}
	for _, session := range l.sessions {
		result.Acknowledged = append(result.Acknowledged, session.serial)
	}
	return result
}
