package host

import (
	"errors"
	"time"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

// A failover workload crashes the leader under load.
type failover struct {
	workload.Load
	outstanding   int
	before, after time.Duration // the crash
}

// A failoverResult is how that went; what is nil did not happen before the load's end.
type failoverResult struct {
	Workload     string       `json:"workload"`
	Client       string       `json:"client"`
	Crashed      raft.NodeID  `json:"crashed"`
	Leader       *raft.NodeID `json:"leader"`
	StartedNs    int64        `json:"started_ns"`
	CrashNs      int64        `json:"crash_ns"`
	CandidateNs  *int64       `json:"candidate_ns"`
	LeaderNs     *int64       `json:"leader_ns"`
	FirstNs      *int64       `json:"first_ns"`
	EndedNs      int64        `json:"ended_ns"`
	Commands     int64        `json:"commands"`
	Retries      int64        `json:"retries"`
	Slices       [][2]int64   `json:"slices"`
	Acknowledged []uint64     `json:"acknowledged"`
}

// failOver runs that workload, and restarts the leader when the load has ended.
func (c *control) failOver(spec failover, progress func(float64)) (*failoverResult, error) {
	if _, err := c.awaitSettled(patience); err != nil {
		return nil, err
	}
	c.record(true)
	defer c.record(false)
	f := c.follow(spec.Sessions(spec.outstanding))
	defer f.close()
	share := float64(spec.before) / float64(spec.before+spec.after)
	if err := f.pass(spec.before, func(done float64) { progress(share * done) }); err != nil {
		return nil, err
	}
	old := c.leading()
	if old.Node == 0 {
		return nil, errDisturbed
	}
	random := raft.NewDraws(c.seed, raft.FailoverStream)
	crashNs, err := c.crashBetweenHeartbeats(old.Node, random.Float64(), nil, patience)
	if err != nil {
		return nil, err
	}
	result, err := c.survive(f, old, crashNs, spec.after, func(done float64) {
		progress(share + (1-share)*done)
	})
	return result, errors.Join(err, c.Restart(old.Node))
}

// survive is what comes after the crash.
func (c *control) survive(
	f *clients, old lives.RoleChange, crashNs int64, after time.Duration, progress func(float64),
) (*failoverResult, error) {
	c.awaitTold()
	if beginnings(c.recorded()).before(crashNs) {
		return nil, errDisturbed
	}
	if err := f.pass(after, progress); err != nil {
		return nil, err
	}
	heard, err := f.end()
	if err != nil {
		return nil, err
	}
	result := &failoverResult{
		Workload:     "failover",
		Client:       followingDescription,
		Crashed:      old.Node,
		StartedNs:    f.startNs,
		CrashNs:      crashNs,
		EndedNs:      f.startNs + heard.Length.Nanoseconds(),
		Commands:     heard.Commands,
		Retries:      heard.Retries,
		Slices:       heard.Slices,
		Acknowledged: f.acknowledged,
	}
	history := c.recorded()
	for _, first := range heard.Firsts {
		if first.Term <= old.Term {
			continue
		}
		result.Leader = &first.Node
		result.FirstNs = new(f.startNs + first.After.Nanoseconds())
		result.CandidateNs = beginnings(history).firstNs
		result.LeaderNs = electedNs(history, first.Term)
		break
	}
	return result, nil
}

// electedNs is when the leader of a term was elected.
func electedNs(history []lives.RoleChange, term uint64) *int64 {
	for _, change := range history {
		if change.Role == raft.Leader && change.Term == term {
			return &change.AtNs
		}
	}
	return nil
}
