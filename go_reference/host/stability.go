package host

import (
	"context"
	"slices"
	"time"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

// settleOrNot is how long a cluster has to settle that is then left alone all the same.
const settleOrNot = 2 * time.Second

// A stability workload leaves the cluster alone, idle or under load.
type stability struct {
	workload.Load
	outstanding int
	duration    time.Duration
}

// A stabilityResult tells of the elections that it held nevertheless.
type stabilityResult struct {
	Workload     string   `json:"workload"`
	StartedNs    int64    `json:"started_ns"`
	EndedNs      int64    `json:"ended_ns"`
	Candidacies  int      `json:"candidacies"`
	Terms        int      `json:"terms"`
	Commands     int64    `json:"commands"`
	Acknowledged []uint64 `json:"acknowledged"`
}

// leaveAlone runs that workload.
func (c *control) leaveAlone(spec stability, progress func(float64)) (*stabilityResult, error) {
	if _, err := c.awaitSettled(settleOrNot); err != nil && c.running.Err() != nil {
		return nil, context.Cause(c.running)
	}
	c.record(true)
	defer c.record(false)
	f := c.follow(spec.Sessions(spec.outstanding))
	defer f.close()
	if err := f.pass(spec.duration, progress); err != nil {
		return nil, err
	}
	heard, err := f.end()
	if err != nil {
		return nil, err
	}
	endedNs := f.startNs + heard.Length.Nanoseconds()
	c.awaitTold()
	held := held(within(c.recorded(), f.startNs, endedNs))
	terms := map[uint64]bool{}
	for candidacy := range held {
		terms[candidacy.term] = true
	}
	return &stabilityResult{
		Workload:     "stability",
		StartedNs:    f.startNs,
		EndedNs:      endedNs,
		Candidacies:  len(held),
		Terms:        len(terms),
		Commands:     heard.Commands,
		Acknowledged: f.acknowledged,
	}, nil
}

// within is what was told of in the time between two moments.
func within(history []lives.RoleChange, startNs, endNs int64) []lives.RoleChange {
	return slices.DeleteFunc(history, func(change lives.RoleChange) bool {
		return change.AtNs < startNs || change.AtNs > endNs
	})
}

// held are the candidacies of a history. One server alone is elected in the very step in which
// it stands (§5.2), and says nothing of that.
func held(history []lives.RoleChange) map[candidacy]bool {
	candidacies := beginnings(history).candidacies
	if len(candidacies) > 0 {
		return candidacies
	}
	for _, change := range history {
		if change.Role == raft.Leader {
			candidacies[candidacy{change.Node, change.Term}] = true
		}
	}
	return candidacies
}
