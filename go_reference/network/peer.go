package network

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"raftmark/raft"
)

const (
	firstWait = 10 * time.Millisecond
	lastWait  = time.Second
	// unanswered is for how long a connection may be silent that is spoken to.
	unanswered = 5 * time.Second
)

// A peer is another node as this one sends to it: a goroutine dials, and dials again whenever the
// connection is lost.
type peer struct {
	network *Network
	id      raft.NodeID
	address string
	outbox  *outbox
	told    string // why it last was not welcome
	random  *rand.Rand
	running context.Context
	leave   context.CancelFunc
}

// meet begins to dial a peer.
func (n *Network) meet(id raft.NodeID, address string) *peer {
	p := &peer{
		network: n,
		id:      id,
		address: address,
		outbox:  newOutbox(),
		random:  rand.New(rand.NewPCG(n.config.Seed, uint64(n.config.Node)<<32|uint64(id))),
	}
	p.running, p.leave = context.WithCancel(n.running)
	n.working.Go(p.run)
	return p
}

// run is the peer's goroutine. It waits the longer for the next attempt the more have failed.
func (p *peer) run() {
	defer p.leave()
	for wait := firstWait; p.running.Err() == nil; {
		if p.converse() {
			wait = firstWait
		}
		// Not all of a cluster dial at the same moment.
		p.pass(wait/2 + time.Duration(p.random.Int64N(int64(wait/2))))
		wait = min(2*wait, lastWait)
	}
}

func (p *peer) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.running.Done():
	}
}

// converse dials the peer, and sends as long as it can. It reports whether it was welcome.
func (p *peer) converse() (welcome bool) {
	ctx, cancel := context.WithTimeout(p.running, handshakeTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return false // Its program does not run, or not yet.
	}
	defer conn.Close()
	defer context.AfterFunc(p.running, func() { conn.Close() })()
	reader := newFrameReader(conn)
	deadline, _ := ctx.Deadline()
	if err = errors.Join(conn.SetDeadline(deadline), giveUp(conn)); err == nil {
		err = p.network.config.greet(conn, reader, p.id, newNonce())
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		p.tell(err)
		return false
	}
	p.told = ""
	p.talk(conn, reader)
	return true
}

// tell tells why the peer does not want this node, or is not who it should be: once, however often
// it says so.
func (p *peer) tell(err error) {
	lost := ended(err) || errors.Is(err, os.ErrDeadlineExceeded)
	if !lost && err.Error() != p.told {
		p.told = err.Error()
		p.network.config.Refused(p.id, err.Error())
	}
}

// talk writes what there is to send until the connection is lost.
func (p *peer) talk(conn net.Conn, reader *frameReader) {
	ctx, lost := context.WithCancel(p.running)
	p.outbox.connect()
	defer p.outbox.disconnect()
	p.network.working.Go(func() {
		defer lost()
		defer conn.Close()
		// A peer has nothing to say here. Whatever it says, or its end, is the end.
		if _, err := reader.next(maxGreeting); err == nil {
			p.network.config.Refused(p.id, fmt.Sprintf("node %d speaks on a connection that is not its own", p.id))
		}
	})
	p.write(ctx, conn)
	lost()
}

// write writes what waits, all that waits together, until ctx ends or the connection does.
func (p *peer) write(ctx context.Context, conn net.Conn) {
	var batch []outgoing
	var frames []byte
	for {
		select {
		case <-p.outbox.wake:
		case <-ctx.Done():
			return
		}
		for batch = p.outbox.take(batch); len(batch) > 0; batch = p.outbox.take(batch) {
			frames = frames[:0]
			for _, out := range batch {
				frames = appendMessage(frames, out.message, out.delay)
			}
			if _, err := conn.Write(frames); err != nil {
				return
			}
			p.network.sent.Add(int64(len(frames)))
			clear(batch)
			if cap(frames) > keptBody {
				frames = nil
			}
		}
	}
}
