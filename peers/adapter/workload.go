package adapter

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

const (
	closedDescription = "a goroutine for each command outstanding waits for what the library answers"
	openDescription   = "a goroutine reads from the sender's pipe, another takes the answers from a channel"
)

// Replicate runs the closed loop beside the leader. It fails with the first command that does, or
// with ctx's cause; progress hears the share of the time that has passed.
func (n *Node) Replicate(
	ctx context.Context, leader raft.NodeID, spec workload.Replicate, progress func(float64),
) (*workload.Replicated, error) {
	life, err := n.alive()
	if err != nil {
		return nil, err
	}
	clients := spec.Clients()
	ended := make(chan error, len(clients))
	var over atomic.Bool
	defer over.Store(true)
	startNs, start := lives.Monotonic(), time.Now()
	for _, client := range clients {
		go func() { ended <- live(life, client, start, &over) }()
	}
	share := func() { progress(min(1, time.Since(start).Seconds()/spec.Length().Seconds())) }
	var before, after raft.Counters
	measured := make(chan error, 1)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		err := workload.Pass(ctx, spec.Warmup-time.Since(start), share)
		before = n.Counted.Sums()
		if err == nil {
			err = workload.Pass(ctx, spec.Length()-time.Since(start), share)
		}
		after = n.Counted.Sums()
		measured <- err
	}()
	// A library that is shut down may leave a command without an answer, and its client with it.
	for range clients {
		select {
		case err = <-ended:
		case <-life.ended:
			err = errEnded
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			stop(err)
			<-measured
			return nil, err
		}
	}
	if err := <-measured; err != nil {
		return nil, err
	}
	result := spec.Result(clients, startNs, before, after)
	result.Node, result.Client = leader, closedDescription
	return result, nil
}

// live lets a client send one command after the other, until it has enough, or the run is over.
func live(life Life, client *workload.Client, start time.Time, over *atomic.Bool) error {
	for sent, more := time.Since(start), true; more && !over.Load(); {
		if outcome := life.Do(client.Next()); outcome.Err != nil {
			return outcome.Err
		}
		now := time.Since(start)
		more = client.Record(sent, now)
		sent = now
	}
	return nil
}

// Offered runs the open loop beside the leader. It fails with the first command that does, or with
// ctx's cause; progress hears the share of the time that has passed.
func (n *Node) Offered(
	ctx context.Context, leader raft.NodeID, spec workload.Offered, progress func(float64),
) (*workload.OfferedResult, error) {
	life, err := n.alive()
	if err != nil {
		return nil, err
	}
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
					before = n.Counted.Sums()
				}
				var commands []*raft.Command
				commands, sent = load.Take(sent, time.Since(start))
				if len(commands) > 0 {
					life.Offer(commands, raft.Into(answers))
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
	group.Go(func() error { return record(ctx, life, load, answers, allSent, start) })
	failure := group.Wait()
	cpu := end()
	if failure != nil {
		return nil, failure
	}
	result := load.Result(startNs, before, n.Counted.Sums())
	result.Node, result.Client, result.SenderCPUNs = leader, openDescription, cpu.Nanoseconds()
	return result, nil
}

// record records the answers until all that was sent is answered.
func record(
	ctx context.Context, life *life, load *workload.OpenLoop, answers <-chan raft.Outcome,
	allSent <-chan struct{}, start time.Time,
) error {
	for sending := true; sending || load.Answered() < load.Sent(); {
		select {
		case outcome := <-answers:
			if outcome.Err != nil {
				return outcome.Err
			}
			load.Record(1, time.Since(start))
		case <-allSent:
			sending, allSent = false, nil
		case <-life.ended:
			return errEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
