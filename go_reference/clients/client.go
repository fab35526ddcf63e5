package clients

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"raftmark/clientport"
	"raftmark/raft"
	"raftmark/workload"
)

const (
	// answerTime is how long an answer is waited for, or a handshake, before another node is asked: on a
	// busy machine thousands are seconds before it is their turn, and who comes anew makes that worse.
	answerTime = 20 * time.Second
	// firstPause is how long a client waits that has found nobody who leads, and then twice as long
	// each time, up to lastPause: thousands who ask all the time who leads would hold up the election.
	firstPause = 5 * time.Millisecond
	lastPause  = 80 * time.Millisecond
)

// A client is a session with its connection. It belongs to one goroutine.
type client struct {
	*workload.Session
	name     string
	secret   []byte
	nodes    []string // the addresses that it tries in turn
	at       string   // whom it speaks to, or is going to
	conn     net.Conn
	reader   *clientport.Reader
	pause    time.Duration // the next one
	frame    []byte
	answered uint64 // the last serial that was
	counts   *counts
}

// Counts are all clients' together.
type counts struct {
	connects, redirects, retries atomic.Int64
}

func (s *Spec) clients(counts *counts) []*client {
	var nodes []string
	for _, address := range s.Services {
		nodes = append(nodes, address)
	}
	slices.Sort(nodes)
	var secret []byte
	if s.Secret != "" {
		secret = []byte(s.Secret)
	}
	all := make([]*client, s.all())
	for number, session := range s.load().Sessions(s.all()) {
		all[number] = &client{
			Session: session,
			name:    fmt.Sprintf("%s-%d", s.Session, number),
			secret:  secret,
			nodes:   nodes,
			at:      cmp.Or(s.Services[s.Leader], nodes[number%len(nodes)]),
			pause:   firstPause,
			counts:  counts,
		}
	}
	return all
}

// connect has the client connected to whom it is going to speak to, unless ctx ends before.
func (c *client) connect(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.at)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	reader := clientport.NewReader(conn)
	if err := clientport.Greet(conn, reader, c.name, c.secret); err != nil {
		conn.Close()
		return err
	}
	c.conn, c.reader = conn, reader
	c.counts.connects.Add(1)
	return nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn, c.reader = nil, nil
	}
}

// do has a command applied, whoever leads, however often that takes. It fails only where ctx ends
// before, or the command is refused for good.
func (c *client) do(ctx context.Context, command *raft.Command) error {
	c.frame = clientport.AppendCommand(c.frame[:0], command)
	for first := true; ; first = false {
		if !first {
			c.counts.retries.Add(1)
		}
		answer, err := c.ask(ctx, command.Serial)
		if cause := ctx.Err(); err != nil && cause != nil {
			return fmt.Errorf("%s has no answer to serial %d: %w", c.name, command.Serial, err)
		}
		switch {
		case err != nil:
			c.goOn("", ctx)
		case answer.Code == "":
			c.answered = command.Serial
			c.pause = firstPause
			return nil
		case answer.Code == raft.NotLeader:
			c.counts.redirects.Add(1)
			c.goOn(answer.Leader, ctx)
		case answer.Code == raft.BadRequest || answer.Code == raft.Internal:
			return fmt.Errorf("%s: serial %d is refused: %s", c.name, command.Serial, answer.Code)
		default:
			c.goOn("", ctx)
		}
	}
}

// ask sends the command once, and waits for its answer.
func (c *client) ask(ctx context.Context, serial uint64) (a clientport.Answer, err error) {
	if c.conn == nil {
		if err := c.reconnect(ctx); err != nil {
			return a, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return a, err
	}
	if _, err := c.conn.Write(c.frame); err != nil {
		return a, err
	}
	if a, err = c.reader.Answer(); err == nil && a.Serial != serial {
		err = fmt.Errorf("an answer to serial %d where %d was sent", a.Serial, serial)
	}
	return a, err
}

func (c *client) reconnect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return c.connect(ctx)
}

// goOn lets the client speak to another node: the one that leads, if that is known, and else the
// next one, after a pause.
func (c *client) goOn(leader string, ctx context.Context) {
	c.hangUp()
	if leader != "" && leader != c.at {
		c.at = leader
		return
	}
	c.at = c.nodes[(slices.Index(c.nodes, c.at)+1)%len(c.nodes)]
	select {
	case <-time.After(c.pause):
	case <-ctx.Done():
	}
	c.pause = min(2*c.pause, lastPause)
}
