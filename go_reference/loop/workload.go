package loop

import (
	"cmp"
	"context"
	"sync"
	"time"

	"raftmark/lives"
	"raftmark/raft"
	"raftmark/workload"
)

const (
	closedDescription = "a callback of the loop takes each answer and sends the next command"
	openDescription   = "a goroutine reads from the sender's pipe and calls the loop, a callback takes the answers"
)

// Clients are the callbacks of a load, which the loop calls until it ends.
type clients struct {
	node  *node
	ctx   context.Context // ends with the load, and with the first command that fails
	fail  context.CancelCauseFunc
	ended chan struct{} // closed when all is answered
	start time.Time
}

func newClients(ctx context.Context, n *node) *clients {
	c := &clients{node: n, ended: make(chan struct{}), start: time.Now()}
	c.ctx, c.fail = context.WithCancelCause(ctx)
	return c
}

// hears reports whether a command was applied and the load goes on.
func (c *clients) hears(outcome raft.Outcome) bool {
	if outcome.Err != nil {
		c.fail(outcome.Err)
	}
	return c.ctx.Err() == nil
}

// wait waits until all is answered, and fails with the context's cause.
func (c *clients) wait() error {
	select {
	case <-c.ended:
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// Replicate runs the closed loop beside the leader. It fails with the first command that
// does, or with ctx's cause; progress hears the share of the time that has passed.
func (c *Cluster) Replicate(
	ctx context.Context, leader raft.NodeID, spec workload.Replicate, progress func(float64),
) (*workload.Replicated, error) {
	n := c.Node(leader)
	startNs, load := lives.Monotonic(), newClients(ctx, n)
	defer load.fail(nil)
	clients := spec.Clients()
	left := len(clients)
	c.loop.do(func() {
		for _, client := range clients {
			load.live(client, func() {
				if left--; left == 0 {
					close(load.ended)
				}
			})
		}
	})
	share := func() { progress(min(1, time.Since(load.start).Seconds()/spec.Length().Seconds())) }
	err := workload.Pass(load.ctx, spec.Warmup-time.Since(load.start), share)
	before := c.Counters(leader)
	if err == nil {
		err = workload.Pass(load.ctx, spec.Length()-time.Since(load.start), share)
	}
	after := c.Counters(leader)
	if err == nil {
		err = load.wait()
	}
	if err != nil {
		return nil, err
	}
	result := spec.Result(clients, startNs, before, after)
	result.Node, result.Client = leader, closedDescription
	return result, nil
}

// live lets a client send a command whenever its last one is answered, until it has enough.
func (c *clients) live(client *workload.Client, ended func()) {
	var sent time.Duration
	var proposal raft.Proposal
	send := func(now time.Duration) {
		sent, proposal.Command = now, client.Next()
		c.node.ask(lives.Event{Proposal: proposal})
	}
	proposal.Done = func(outcome raft.Outcome) {
		if !c.hears(outcome) {
			return
		}
		if now := time.Since(c.start); client.Record(sent, now) {
			send(now)
		} else {
			ended()
		}
	}
	send(time.Since(c.start))
}

// Offered runs the open loop beside the leader. It fails with the first command that does, or
// with ctx's cause; progress hears the share of the time that has passed.
func (c *Cluster) Offered(
	ctx context.Context, leader raft.NodeID, spec workload.Offered, progress func(float64),
) (*workload.OfferedResult, error) {
	n := c.Node(leader)
	sender, err := spec.Start(spec)
	if err != nil {
		return nil, raft.Errorf(raft.Unavailable, "%v", err)
	}
	load := newClients(ctx, n)
	defer load.fail(nil)
	// Whoever waits for the sender hears of an end by the sender's.
	end := sync.OnceValue(sender.End)
	defer end()
	defer context.AfterFunc(load.ctx, func() { end() })()
	startNs, start, err := sender.Begin()
	if err != nil {
		return nil, cmp.Or(context.Cause(load.ctx), err)
	}
	load.start = start
	open := &openLoop{OpenLoop: spec.Begin(), clients: load}
	report := workload.ReportInterval
	for more := true; more; {
		sent, err := sender.Next()
		if err := cmp.Or(context.Cause(load.ctx), err); err != nil {
			return nil, err
		}
		c.loop.do(func() { more = open.take(sent) })
		if now := time.Since(start); now >= report {
			progress(min(1, now.Seconds()/spec.Length().Seconds()))
			report = now + workload.ReportInterval
		}
	}
	if err := load.wait(); err != nil {
		return nil, err
	}
	result := open.Result(startNs, open.before, c.Counters(leader))
	result.Node, result.Client, result.SenderCPUNs = leader, openDescription, end().Nanoseconds()
	return result, nil
}

// An openLoop is the load's callbacks.
type openLoop struct {
	*workload.OpenLoop
	*clients
	before  raft.Counters
	allSent bool
}

// take proposes what was sent; nothing means that the measured time is over. It reports whether
// there is more to come.
func (o *openLoop) take(sent []time.Duration) (more bool) {
	more = len(sent) > 0
	for len(sent) > 0 && !o.GivenUp() {
		if o.Warm() {
			o.before = o.node.Counters()
		}
		var commands []*raft.Command
		commands, sent = o.Take(sent, time.Since(o.start))
		for _, command := range commands {
			o.node.mailbox.put(event{Event: lives.Event{Proposal: raft.Proposal{Command: command, Done: o.answer}}})
		}
	}
	if !more || o.GivenUp() {
		o.allSent = true
		o.look()
		return false
	}
	return true
}

func (o *openLoop) answer(outcome raft.Outcome) {
	if o.hears(outcome) {
		o.Record(1, time.Since(o.start))
		o.look()
	}
}

// look looks whether the load has ended.
func (o *openLoop) look() {
	if o.allSent && o.Answered() == o.Sent() {
		close(o.ended)
	}
}
