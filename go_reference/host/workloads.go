package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"raftmark/raft"
	"raftmark/workload"
)

// A run performs a workload that was read; progress hears the share that is done.
type run func(c *control, progress func(float64)) (result any, err error)

// The workloads, each of which reads its own fields, for a cluster of so many nodes.
var workloads = map[string]func(nodes int, f *fields) run{
	"replicate": readReplicate,
	"election":  readElection,
	"offered":   readOffered,
	"failover":  readFailover,
	"catch_up":  readCatchUp,
	"stability": readStability,
}

func readWorkload(nodes int, f *fields) (run, error) {
	name := required(f, "name", choice(slices.Sorted(maps.Keys(workloads))...))
	if f.err != nil {
		return nil, f.err
	}
	run := workloads[name](nodes, f)
	return run, f.end()
}

func bound[S, R any](spec S, perform func(*control, S, func(float64)) (R, error)) run {
	return func(c *control, progress func(float64)) (any, error) { return perform(c, spec, progress) }
}

func readReplicate(_ int, f *fields) run { return bound(closedLoop(f), (*control).replicate) }

func readOffered(_ int, f *fields) run { return bound(openLoop(f), (*control).offered) }

func closedLoop(f *fields) workload.Replicate {
	return workload.Replicate{
		Load:        readLoad(f),
		Outstanding: optional(f, "outstanding", integer(1, 4096), 64),
		Warmup:      optional(f, "warmup_s", duration(0, 3600, time.Second), time.Second/2),
		Duration:    readDuration(f),
		Slice:       optional(f, "slice_ms", duration(1, 1000, time.Millisecond), 100*time.Millisecond),
	}
}

func openLoop(f *fields) workload.Offered {
	return workload.Offered{
		Load:     readLoad(f),
		Rate:     optional(f, "rate", number(1, 10_000_000), 1000),
		Clients:  optional(f, "sessions", integer(1, 4096), 64),
		Limit:    optional(f, "limit", integer(1, 1_000_000), 65536),
		Warmup:   optional(f, "warmup_s", duration(0, 3600, time.Second), time.Second/2),
		Duration: readDuration(f),
		Start:    startSender,
	}
}

// startSender is a variable for those who simulate the time.
var startSender = workload.StartSender

func readElection(nodes int, f *fields) run {
	minority := needSurvivors(nodes, f)
	return bound(elections{
		count:   optional(f, "elections", integer(1, 100_000), 10),
		lagging: optional(f, "lagging", integer(0, minority), 0),
		limit:   readLimit(f),
	}, (*control).elect)
}

func readFailover(nodes int, f *fields) run {
	needSurvivors(nodes, f)
	return bound(failover{
		Load:        readLoad(f),
		outstanding: optional(f, "outstanding", integer(1, 4096), 16),
		before:      optional(f, "before_s", duration(0.1, 3600, time.Second), time.Second),
		after:       optional(f, "after_s", duration(0.1, 3600, time.Second), 3*time.Second),
	}, (*control).failOver)
}

func readCatchUp(nodes int, f *fields) run {
	needSurvivors(nodes, f)
	return bound(catchUp{
		Load:    readLoad(f),
		entries: optional(f, "entries", integer(1, 1_000_000), 10_000),
		by:      optional(f, "by", choice("entries", "snapshot"), "entries"),
		limit:   readLimit(f),
	}, (*control).catchUp)
}

func readStability(_ int, f *fields) run {
	return bound(stability{
		Load:        readLoad(f),
		outstanding: optional(f, "outstanding", integer(0, 4096), 0),
		duration:    optional(f, "duration_s", duration(0.1, 3600, time.Second), 2*time.Second),
	}, (*control).leaveAlone)
}

func readLoad(f *fields) workload.Load {
	return workload.Load{
		Payload: optional(f, "payload", integer(0, 65536), 64),
		Keys:    optional(f, "keys", integer(1, 1_000_000), 1000),
		Session: optional(f, "session", text(1, 64), "client"),
	}
}

func readDuration(f *fields) time.Duration {
	return optional(f, "duration_s", duration(0.001, 3600, time.Second), 2*time.Second)
}

func readLimit(f *fields) time.Duration {
	return optional(f, "cap_s", duration(0.001, 3600, time.Second), 30*time.Second)
}

// needSurvivors refuses a workload that crashes a node where the others would be no majority,
// and returns how many nodes may lack what a majority has.
func needSurvivors(nodes int, f *fields) (minority int) {
	if f.err == nil && nodes < 3 {
		f.err = badRequest("this needs 3 nodes: a majority has to survive the crash")
	}
	return (nodes - 1) / 2
}

// replicate runs that workload beside the leader.
func (c *control) replicate(
	spec workload.Replicate, progress func(float64),
) (*workload.Replicated, error) {
	return besideLeader(c, spec.Length(),
		func(ctx context.Context, leader raft.NodeID) (*workload.Replicated, error) {
			return c.Replicate(ctx, leader, spec, progress)
		})
}

// offered runs that workload beside the leader.
func (c *control) offered(
	spec workload.Offered, progress func(float64),
) (*workload.OfferedResult, error) {
	return besideLeader(c, spec.Length(),
		func(ctx context.Context, leader raft.NodeID) (*workload.OfferedResult, error) {
			return c.Offered(ctx, leader, spec, progress)
		})
}

// besideLeader runs a workload of that length beside the leader of a cluster that has settled,
// and fails when another node leads.
func besideLeader[R any](
	c *control, length time.Duration, perform func(context.Context, raft.NodeID) (*R, error),
) (*R, error) {
	leader, err := c.awaitSettled(patience)
	if err != nil {
		return nil, err
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, stop := context.WithTimeoutCause(c.running, length+patience,
		errors.New("the leader does not answer"))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch.Go(func() {
		if c.await(ctx, func() bool { return c.leader() != leader.Node }) == nil {
			cancel(errors.New("the leader changed during the run"))
		}
	})
	result, err := perform(ctx, leader.Node)
	if err != nil {
		return nil, raft.Errorf(raft.Unavailable, "the run failed: %v", err)
	}
	return result, nil
}
