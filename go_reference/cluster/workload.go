package cluster

import (
	"cmp"
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

const (
	closedDescription = "a goroutine for each command outstanding waits for its answer on a channel"
	openDescription   = "a goroutine reads from the sender's pipe, another takes the answers from a channel"
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
	sender, err := spec.Start(spec)
	if err != nil {
		return nil, raft.Errorf(raft.Unavailable, "%v", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	// Whoever waits for the sender hears of an end by the sender's.
	end := sync.OnceValue(sender.End)
	defer context.AfterFunc(ctx, func() { end() })()
	startNs, start, err := sender.Begin()
	if err != nil {
		end()
		return nil, err
	}
	var before raft.Counters
	group.Go(func() error {
		defer close(allSent)
		report := workload.ReportInterval
		for {
			sent, err := sender.Next()
			if len(sent) == 0 {
				return cmp.Or(context.Cause(ctx), err)
			}
			for len(sent) > 0 {
				if load.Warm() {
					before = c.Counters(leader)
				}
				now := time.Since(start)
				var commands []*raft.Command
				if commands, sent = load.Take(sent, now); len(commands) > 0 {
					n.offer(commands, raft.Into(answers))
				}
			}
			if load.GivenUp() {
				return nil
			}
			if now := time.Since(start); now >= report {
				progress(min(1, now.Seconds()/spec.Length().Seconds()))
				report = now + workload.ReportInterval
			}
		}
	})
	group.Go(func() error { return record(ctx, load, answers, allSent, start) })
	failure := group.Wait()
	cpu := end()
	if failure != nil {
		return nil, failure
	}
	result := load.Result(startNs, before, c.Counters(leader))
	result.Node, result.Client, result.SenderCPUNs = leader, openDescription, cpu.Nanoseconds()
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
