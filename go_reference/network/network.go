// Package network carries messages between nodes that are programs of their own, over TCP.
//
// Each node dials each peer, and sends its messages on the connections that it dialled; it
// receives on those that it accepted. So either end may lose one and nothing is to be decided
// about who dials again. A connection has two goroutines at most: one reads, one writes.
//
// Nothing that comes is trusted. What is no frame, no message or not from the peer that the
// handshake named ends its connection, and nothing else.
package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"raftmark/raft"
)

const (
	// maxStrangers is how many connections may be in the handshake at the same time.
	maxStrangers = 64
	// maxHeld bounds the messages, in bytes, that a link's delay holds here; each is in a goroutine
	// of its own, which takes memory too.
	maxHeld      = 64 << 20
	heldOverhead = 4 << 10
)

// Config is what a network is made with.
type Config struct {
	Cluster string // the same for all
	Node    raft.NodeID
	Secret  []byte // which all have, or nobody; nil for none
	Seed    uint64 // of how long the node waits before it dials again
	// Deliver hears each message that has come, and must not block.
	Deliver func(raft.Message)
	// Refused hears why a connection was refused or thrown away; the peer is 0 if that is not
	// known. It must not block.
	Refused func(peer raft.NodeID, reason string)
}

// A Network is one node's end of the connections with its peers. Any goroutine may call its
// methods.
type Network struct {
	config   Config
	listener net.Listener
	running  context.Context
	stop     context.CancelFunc
	working  sync.WaitGroup // all of the network's goroutines
	sent     atomic.Int64   // bytes
	held     atomic.Int64   // bytes of messages that a delay holds

	accepting sync.Once

	mu        sync.Mutex
	peers     map[raft.NodeID]*peer
	incoming  map[raft.NodeID]net.Conn
	strangers int
}

// Listen listens on an address, "127.0.0.1:0" for instance, and accepts connections once it has
// peers.
func Listen(address string, config Config) (*Network, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	n := &Network{
		config:   config,
		listener: listener,
		peers:    map[raft.NodeID]*peer{},
		incoming: map[raft.NodeID]net.Conn{},
	}
	n.running, n.stop = context.WithCancel(context.Background())
	return n, nil
}

// Address is the one that it listens on.
func (n *Network) Address() string { return n.listener.Addr().String() }

// Bytes are how many were sent to the peers.
func (n *Network) Bytes() int { return int(n.sent.Load()) }

// SetPeers says where the peers are, in place of what was said before: those that are named no
// more are left.
func (n *Network) SetPeers(addresses map[raft.NodeID]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running.Err() != nil {
		return
	}
	for id, known := range n.peers {
		if addresses[id] != known.address {
			known.leave()
			delete(n.peers, id)
		}
		if addresses[id] == "" && n.incoming[id] != nil {
			n.incoming[id].Close()
		}
	}
	for id, address := range addresses {
		if id != n.config.Node && n.peers[id] == nil {
			n.peers[id] = n.meet(id, address)
		}
	}
	if len(n.peers) > 0 {
		n.accepting.Do(func() { n.working.Go(n.accept) })
	}
}

// Send sends a message to its recipient, who is to hold it for so long; it never waits. Where there
// is no connection, or too much waits for one, the message is lost.
func (n *Network) Send(message raft.Message, delay time.Duration) {
	n.mu.Lock()
	peer := n.peers[message.Recipient()]
	n.mu.Unlock()
	if peer != nil {
		peer.outbox.put(message, delay)
	}
}

// Close ends every connection; afterwards no goroutine, socket or timer is left.
func (n *Network) Close() {
	n.mu.Lock()
	n.stop() // and nobody is met any more
	n.mu.Unlock()
	n.listener.Close()
	n.working.Wait()
}

func (n *Network) knows(id raft.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.peers[id] != nil
}

// accept lets each connection be heard in a goroutine of its own.
func (n *Network) accept() {
	for {
		conn, err := n.listener.Accept()
		if n.running.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			// Of files there may be enough again when others have ended.
			n.config.Refused(0, err.Error())
			n.pass(time.Second / 10)
			continue
		}
		if !n.admit() {
			n.config.Refused(0, "too many in the handshake")
			conn.Close()
			continue
		}
		n.working.Go(func() { n.hear(conn) })
	}
}

func (n *Network) admit() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.strangers == maxStrangers {
		return false
	}
	n.strangers++
	return true
}

// hear receives on a connection until it ends, or the network does.
func (n *Network) hear(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(n.running, func() { conn.Close() })()
	reader := newFrameReader(conn)
	from, err := n.introduce(conn, reader)
	defer n.forget(from, conn)
	if err == nil {
		err = n.listen(from, reader)
	}
	if err != nil && !ended(err) && n.running.Err() == nil {
		n.config.Refused(from, err.Error())
	}
}

// introduce is the handshake. A peer that comes again takes the place of its earlier connection.
func (n *Network) introduce(conn net.Conn, reader *frameReader) (raft.NodeID, error) {
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.strangers--
	}()
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return 0, err
	}
	from, err := n.config.receive(conn, reader, n.knows, newNonce())
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no handshake in %v", handshakeTime)
	}
	if err != nil {
		return from, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.peers[from] == nil {
		return from, errNoPeer(int64(from)) // Not any more.
	}
	if earlier := n.incoming[from]; earlier != nil {
		earlier.Close()
	}
	n.incoming[from] = conn
	return from, conn.SetDeadline(time.Time{})
}

func (n *Network) forget(from raft.NodeID, conn net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.incoming[from] == conn {
		delete(n.incoming, from)
	}
}

// listen delivers what a peer sends, until that ends or is no message of the peer's.
func (n *Network) listen(from raft.NodeID, reader *frameReader) error {
	for {
		frame, err := reader.next(maxBody)
		if err != nil {
			return err
		}
		message, err := frame.message(from, n.config.Node)
		if err != nil {
			return err
		}
		if frame.delay == 0 {
			n.config.Deliver(message)
		} else {
			n.hold(message, frame.delay, int64(heldOverhead+len(frame.body)))
		}
	}
}

// hold delivers a message after a delay, unless too much is held already: then it is lost.
func (n *Network) hold(message raft.Message, delay time.Duration, size int64) {
	if n.held.Add(size) > maxHeld {
		n.held.Add(-size)
		return
	}
	n.working.Go(func() {
		defer n.held.Add(-size)
		if n.pass(delay) {
			n.config.Deliver(message)
		}
	})
}

// pass lets time pass; false if the network ended meanwhile.
func (n *Network) pass(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-n.running.Done():
		return false
	}
}

// ended reports whether a connection was just lost, and nothing was wrong with what came on it.
func ended(err error) bool {
	for _, loss := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT} {
		if errors.Is(err, loss) {
			return true
		}
	}
	return false
}
