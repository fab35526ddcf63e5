package cluster

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

const (
	closedDescription = "a goroutine for each command outstanding waits for its answer on a channel"
	openDescription   = "a goroutine waits on a timer and sends all that is due, another takes the answers from a channel"
)

// Replicate runs the closed loop beside the leader. It fails with the first command that
// does, or with ctx's cause; progress hears the share of the time that has passed.
func (c *Cluster) Replicate(
	ctx context.Context, leader raft.NodeID, spec workload.Replicate, progress func(float64),
) (*workload.Replicated, error) {
	n := c.Node(leader)
	clients := spec.Clients()
	answers := make([]chan raft.Outcome, len(clients))
	group, ctx := errgroup.WithContext(ctx)
	startNs, start := lives.Monotonic(), time.Now()
	for i, client := range clients {
		answers[i] = make(chan raft.Outcome, 1)
		done := raft.Into(answers[i])
		group.Go(func() error {
			for sent, more := time.Since(start), true; more; {
				n.Ask(lives.Event{Proposal: raft.Proposal{Command: client.Next(), Done: done}})
				if outcome := <-answers[i]; outcome.Err != nil {
					return outcome.Err
				}
				now := time.Since(start)
				more = client.Record(sent, now)
				sent = now
			}
			return nil
		})
	}
	// A client listens to nothing but its answers, so that is where it hears of an end.
	defer context.AfterFunc(ctx, func() {
		for _, done := range answers {
			raft.Into(done)(raft.Outcome{Err: context.Cause(ctx)})
		}
	})()
	var before, after raft.Counters
	group.Go(func() error {
		share := func() { progress(min(1, time.Since(start).Seconds()/spec.Length().Seconds())) }
		err := workload.Pass(ctx, spec.Warmup-time.Since(start), share)
		before = c.Counters(leader)
		if err == nil {
			err = workload.Pass(ctx, spec.Length()-time.Since(start), share)
		}
		after = c.Counters(leader)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	result := spec.Result(clients, startNs, before, after)
	result.Node, result.Client = leader, closedDescription
	return result, nil
}

// Offered runs the open loop beside the leader. It fails with the first command that does, or
// with ctx's cause; progress hears the share of the time that has passed.
func (c *Cluster) Offered(
	ctx context.Context, leader raft.NodeID, spec workload.Offered, progress func(float64),
) (*workload.OfferedResult, error) {
	n := c.Node(leader)
	load := spec.Begin()
	answers := make(chan raft.Outcome, spec.Limit) // room for all, so that none is dropped
	allSent := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	var before raft.Counters
	startNs, start := lives.Monotonic(), time.Now()
	share := func() { progress(min(1, time.Since(start).Seconds()/spec.Length().Seconds())) }
	group.Go(func() error {
		defer close(allSent)
		timer := time.NewTimer(0)
		defer timer.Stop()
		often := time.NewTicker(workload.ReportInterval)
		defer often.Stop()
		for due, more := load.Next(); more; due, more = load.Next() {
			timer.Reset(due - time.Since(start))
			select {
			case <-timer.C:
			case <-often.C:
				share()
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if load.Warm() {
				before = c.Counters(leader)
			}
			n.offer(load.Due(time.Since(start)), raft.Into(answers))
		}
		if load.GivenUp() {
			return nil
		}
		// The measured time may end as long as an interval after the last command.
		return workload.Pass(ctx, spec.Length()-time.Since(start), share)
	})
	group.Go(func() error { return record(ctx, load, answers, allSent, start) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	result := load.Result(startNs, before, c.Counters(leader))
	result.Node, result.Client = leader, openDescription
	return result, nil
}

// record records the answers until all that was sent is answered.
func record(
	ctx context.Context, load *workload.OpenLoop, answers <-chan raft.Outcome,
	allSent <-chan struct{}, start time.Time,
) error {
	for sending := true; sending || load.Answered() < load.Sent(); {
		select {
		case outcome := <-answers:
			// What waits by now was answered by now: one look at the clock for all of it.
			waiting, now := len(answers), time.Since(start)
			for range waiting {
				if outcome.Err != nil {
					break
				}
				outcome = <-answers
			}
			if outcome.Err != nil {
				return outcome.Err
			}
			load.Record(1+waiting, now)
		case <-allSent:
			sending, allSent = false, nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
