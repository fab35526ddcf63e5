package clients

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"raftmark/clientport"
)

const (
	// dialling is how many clients connect at the same time.
	dialling = 128
	// connectTime is how long all of them may take, each of them as long as that, and lastTime what is
	// under way at the end.
	connectTime = 60 * time.Second
	lastTime    = 30 * time.Second
	// lastLateness is how late a client of an open loop may be: the load is too much then.
	lastLateness = time.Second
	// commandsAWrite is how many a client writes at once that waits for no answers.
	commandsAWrite = 64
)

// A Load is a run, its clients connected.
type Load struct {
	spec    *Spec
	clients []*client
	counts  *counts
	tally   *tally
	// Connected is how long that took.
	Connected time.Duration
}

// Connect has all clients connected but those that come and go.
func Connect(spec *Spec) (*Load, error) {
	counts := new(counts)
	l := &Load{spec: spec, clients: spec.clients(counts), counts: counts, tally: newTally(spec)}
	whole, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	started := time.Now()
	group, ctx := errgroup.WithContext(whole)
	group.SetLimit(dialling)
	for _, c := range l.clients[:spec.all()-spec.Come] {
		group.Go(func() error { return c.connect(ctx) })
	}
	if err := group.Wait(); err != nil {
		l.Close()
		if whole.Err() != nil {
			err = fmt.Errorf("the others have taken more than %v, long even for a busy machine", connectTime)
		}
		connected := counts.connects.Load()
		return nil, fmt.Errorf("%d of %d clients are connected: %w", connected, spec.all()-spec.Come, err)
	}
	l.Connected = time.Since(started)
	return l, nil
}

// Close ends all connections.
func (l *Load) Close() {
	for _, c := range l.clients {
		c.hangUp()
	}
}

// Run lets the clients send, and returns what was measured. It fails if a command of theirs has no
// answer in the end, or is refused for good.
func (l *Load) Run() (*Result, error) {
	spec := l.spec
	l.tally.begin()
	whole, cancel := context.WithTimeout(context.Background(), spec.length()+lastTime)
	defer cancel()
	disturbing, quiet := context.WithCancel(whole)
	var others sync.WaitGroup
	for number, c := range l.clients[spec.Connections:] {
		others.Go(func() {
			switch {
			case number < spec.Slow:
				c.neverRead(disturbing)
			case number < spec.Slow+spec.Flood:
				c.flood(disturbing)
			default:
				c.come(disturbing)
			}
		})
	}
	group, ctx := errgroup.WithContext(whole)
	for number, c := range l.clients[:spec.Connections] {
		group.Go(func() error {
			if spec.Rate > 0 {
				return l.open(ctx, number, c)
			}
			return l.closed(ctx, number, c)
		})
	}
	err := group.Wait()
	if left := spec.length() - time.Since(l.tally.start); err == nil && left > 0 {
		// The last command may be due an interval before the end.
		time.Sleep(left)
	}
	quiet()
	others.Wait()
	if err != nil {
		return nil, err
	}
	return l.result()
}

// closed sends the next command when the last one is answered.
func (l *Load) closed(ctx context.Context, number int, c *client) error {
	for sent := time.Since(l.tally.start); sent < l.spec.length(); {
		if err := c.do(ctx, c.Next()); err != nil {
			return err
		}
		now := time.Since(l.tally.start)
		l.tally.answered(number, sent, sent, now)
		sent = now
	}
	return nil
}

// open sends each command when it is due, or when the one before it is answered. So a client whose
// answers are slow is late, and its latencies tell.
func (l *Load) open(ctx context.Context, number int, c *client) error {
	interval := time.Duration(float64(l.spec.Connections) / l.spec.Rate * float64(time.Second))
	due := time.Duration(float64(number) / l.spec.Rate * float64(time.Second))
	for ; due < l.spec.length(); due += interval {
		if wait := due - time.Since(l.tally.start); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
		}
		sent := time.Since(l.tally.start)
		if sent-due > lastLateness {
			l.tally.giveUp()
			return nil
		}
		if err := c.do(ctx, c.Next()); err != nil {
			return err
		}
		l.tally.answered(number, due, sent, time.Since(l.tally.start))
	}
	return nil
}

// -- those who are counted in no figure --------------------------------------------------

// neverRead sends commands and takes no answer, until the node takes no more.
func (c *client) neverRead(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	c.sendAll()
	<-ctx.Done()
}

// flood sends commands as fast as they are taken, whatever becomes of those before.
func (c *client) flood(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			answer, err := c.reader.Answer()
			if err != nil {
				return
			}
			if answer.Code == "" {
				c.answered = answer.Serial
			}
		}
	})
	c.sendAll()
	reading.Wait()
}

// come has a connection for each command.
func (c *client) come(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.do(ctx, c.Next()); err != nil {
			return
		}
		c.hangUp()
	}
}

// sendAll sends commands, many at once, until the connection ends.
func (c *client) sendAll() {
	for {
		c.frame = c.frame[:0]
		for range commandsAWrite {
			c.frame = clientport.AppendCommand(c.frame, c.Next())
		}
		if _, err := c.conn.Write(c.frame); err != nil {
			return
		}
	}
}
