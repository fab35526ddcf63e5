package cluster

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"raftmark/raft"
	"raftmark/workload"
)

const clientDescription = "a goroutine for each command outstanding waits for its answer on a channel"

// Replicate runs the closed loop beside the leader. It fails with the first command that
// does, or with ctx's cause; progress hears the share of the time that has passed.
func (c *Cluster) Replicate(
	ctx context.Context, leader raft.NodeID, spec workload.Replicate, progress func(float64),
) (*workload.Replicated, error) {
	n := c.node(leader)
	clients := spec.Clients()
	answers := make([]chan raft.Outcome, len(clients))
	group, ctx := errgroup.WithContext(ctx)
	start, startNs := time.Now(), monotonic()
	for i, client := range clients {
		answers[i] = make(chan raft.Outcome, 1)
		group.Go(func() error {
			for sent := time.Since(start); sent < spec.Length(); {
				n.propose(raft.Proposal{Command: client.Next(), Done: answers[i]})
				if outcome := <-answers[i]; outcome.Err != nil {
					return outcome.Err
				}
				now := time.Since(start)
				client.Record(sent, now)
				sent = now
			}
			return nil
		})
	}
	// A client listens to nothing but its answers, so that is where it hears of an end.
	defer context.AfterFunc(ctx, func() {
		for _, done := range answers {
			raft.Proposal{Done: done}.Answer(raft.Outcome{Err: context.Cause(ctx)})
		}
	})()
	var before, after workload.Counters
	group.Go(func() error {
		share := func() { progress(min(1, time.Since(start).Seconds()/spec.Length().Seconds())) }
		err := wait(ctx, spec.Warmup-time.Since(start), share)
		before = c.counters(n)
		if err == nil {
			err = wait(ctx, spec.Length()-time.Since(start), share)
		}
		after = c.counters(n)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	result, err := spec.Result(clients, startNs, before, after)
	if err != nil {
		return nil, err
	}
	result.Node, result.Client = leader, clientDescription
	return result, nil
}

// wait waits for d, and reports now and then.
func wait(ctx context.Context, d time.Duration, report func()) error {
	end := time.After(d)
	often := time.NewTicker(200 * time.Millisecond)
	defer often.Stop()
	for {
		select {
		case <-often.C:
			report()
		case <-end:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *Cluster) counters(n *node) (counters workload.Counters) {
	n.call(func() { counters = n.counters })
	return counters
}
