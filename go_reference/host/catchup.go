package host

import (
	"context"
	"errors"
	"time"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

const catchUpClients = 64

// A catchUp workload lets a follower miss entries, and times its return.
type catchUp struct {
	workload.Load
	entries int
	by      string // entries or snapshot
	limit   time.Duration
}

// A catchUpResult is how that went; CaughtUpNs is nil if it did not within the limit.
type catchUpResult struct {
	Workload     string        `json:"workload"`
	Node         raft.NodeID   `json:"node"`
	Leader       raft.NodeID   `json:"leader"`
	Entries      int           `json:"entries"`
	By           string        `json:"by"`
	RestartNs    int64         `json:"restart_ns"`
	RunningNs    int64         `json:"running_ns"`
	CaughtUpNs   *int64        `json:"caught_up_ns"`
	Acknowledged []uint64      `json:"acknowledged"`
	Counters     raft.Counters `json:"counters"`
}

// catchUp runs that workload.
func (c *control) catchUp(spec catchUp, progress func(float64)) (*catchUpResult, error) {
	leader, err := c.awaitSettled(patience)
	if err != nil {
		return nil, err
	}
	node := c.draw(raft.NewDraws(c.seed, raft.CatchUpStream), 1, leader.Node)[0]
	if _, err := c.Crash(node); err != nil {
		return nil, err
	}
	result := &catchUpResult{Workload: "catch_up", Node: node, Entries: spec.entries, By: spec.by}
	last, before, err := c.leaveBehind(spec, result, progress)
	result.RestartNs = lives.Monotonic()
	if err := errors.Join(err, c.Restart(node)); err != nil {
		return nil, err
	}
	result.RunningNs = lives.Monotonic()
	applied, err := c.Applied(node, last)
	if err != nil {
		return nil, err
	}
	select {
	case outcome := <-applied:
		if outcome.Err != nil {
			return nil, outcome.Err
		}
		result.CaughtUpNs = new(lives.Monotonic())
	case <-time.After(spec.limit - time.Duration(result.RunningNs-result.RestartNs)):
	case <-c.running.Done():
		return nil, context.Cause(c.running)
	}
	result.Counters = c.Counters(result.Leader).Since(before)
	return result, nil
}

// leaveBehind has the entries committed that the crashed node misses. It returns the index of
// the last of them, and what the leader has counted by then.
func (c *control) leaveBehind(
	spec catchUp, result *catchUpResult, progress func(float64),
) (last int, before raft.Counters, err error) {
	f := c.followFor(spec.Sessions(catchUpClients), func(client int) uint64 {
		return uint64((spec.entries + catchUpClients - 1 - client) / catchUpClients)
	})
	defer f.close()
	err = f.finish(patience, func(commands int64) { progress(float64(commands) / float64(spec.entries)) })
	if err != nil {
		return 0, before, err
	}
	if result.Leader, err = c.asked(0); err != nil {
		return 0, before, err
	}
	if spec.by == "snapshot" {
		if _, err := c.Compact(result.Leader); err != nil {
			return 0, before, err
		}
	}
	result.Acknowledged = f.acknowledged
	return f.tally.Close().LastIndex, c.Counters(result.Leader), nil
}
