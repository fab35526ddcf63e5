package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"raftmark/peers/adapter"
	core "raftmark/raft"
)

const (
	maxFrame  = 64 << 20
	maxWait   = 64 << 20 // bytes that may wait for one peer; what is more is lost
	firstWait = 10 * time.Millisecond
	lastWait  = time.Second
)

// A network carries the library's messages, as protocol buffers in frames: their length, unsigned
// 32-bit and little-endian, and the bytes. A node sends over the connections that it has dialled and
// receives over those that it has accepted, of which each begins with a frame that names the cluster.
type network struct {
	net.Listener
	*adapter.Surroundings
	deliver func(*raftpb.Message)
	running context.Context
	stop    context.CancelFunc
	working sync.WaitGroup

	mu    sync.Mutex
	peers map[core.NodeID]*peer
}

func listen(s *adapter.Surroundings, deliver func(*raftpb.Message)) (*network, error) {
	socket, err := net.Listen("tcp", s.Place.Address)
	if err != nil {
		return nil, err
	}
	n := &network{
		Listener: socket, Surroundings: s, deliver: deliver, peers: map[core.NodeID]*peer{},
	}
	n.running, n.stop = context.WithCancel(context.Background())
	n.working.Go(func() {
		adapter.Accept(socket, n.running.Done(), func(conn net.Conn) {
			n.working.Go(func() { n.hear(conn) })
		})
	})
	return n, nil
}

func (n *network) end() error {
	n.mu.Lock()
	n.stop()
	n.mu.Unlock()
	err := n.Close()
	n.setPeers(nil)
	n.working.Wait()
	return err
}

func (n *network) setPeers(addresses map[core.NodeID]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, known := range n.peers {
		if addresses[id] != known.address {
			known.leave()
			delete(n.peers, id)
		}
	}
	for id, address := range addresses {
		if id != n.Node && n.peers[id] == nil && n.running.Err() == nil {
			p := &peer{network: n, address: address}
			p.waits.L = &p.mu
			p.running, p.leave = context.WithCancel(n.running)
			n.peers[id] = p
			n.working.Go(p.run)
		}
	}
}

// send sends messages as the links have it, and never waits. They are made bytes of at once, as their
// entries are the log's. It returns to whom there is no connection.
func (n *network) send(messages []raftpb.Message) (lost []uint64) {
	for i := range messages {
		m := &messages[i]
		n.Counted.Messages.Add(1)
		delay, arrives := n.Passage(n.Node, core.NodeID(m.To))
		switch p := n.peer(m.To); {
		case !arrives:
		case p == nil:
			lost = append(lost, m.To)
		case delay > 0:
			frame := appendFrame(nil, m)
			time.AfterFunc(delay, func() { p.put(func(b []byte) []byte { return append(b, frame...) }) })
		case !p.put(func(b []byte) []byte { return appendFrame(b, m) }):
			lost = append(lost, m.To)
		}
	}
	return lost
}

func (n *network) peer(id uint64) *peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.peers[core.NodeID(id)]
}

func appendFrame(b []byte, m *raftpb.Message) []byte {
	size := m.Size()
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	begin := len(b)
	b = append(b, make([]byte, size)...)
	if _, err := m.MarshalTo(b[begin:]); err != nil {
		panic(err) // There is room for it.
	}
	return b
}

// pass lets time pass, but for the network's end.
func (n *network) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.running.Done():
	}
}

// hear receives on a connection until it ends, or the network does.
func (n *network) hear(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(n.running, func() { conn.Close() })()
	reader := bufio.NewReaderSize(conn, 64<<10)
	name, err := readFrame(reader, nil)
	if err != nil || string(name) != n.Cluster {
		return
	}
	for frame := []byte(nil); ; {
		if frame, err = readFrame(reader, frame[:0]); err != nil {
			return
		}
		m := &raftpb.Message{}
		if m.Unmarshal(frame) != nil || core.NodeID(m.To) != n.Node {
			return
		}
		n.deliver(m)
	}
}

// readFrame reads a frame into a buffer, or into a larger one. What the library makes of it are
// copies.
func readFrame(reader io.Reader, buffer []byte) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(reader, header[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header[:])
	if size > maxFrame {
		return nil, io.ErrShortBuffer
	}
	frame := slices.Grow(buffer, int(size))[:size]
	_, err := io.ReadFull(reader, frame)
	return frame, err
}

// A peer is another node as this one sends to it: a goroutine dials, and dials again whenever the
// connection is lost, and writes whatever waits at once.
type peer struct {
	network *network
	address string
	running context.Context
	leave   context.CancelFunc

	mu        sync.Mutex
	waits     sync.Cond
	waiting   []byte // nothing while there is no connection
	connected bool
}

// put adds what is to be written; false where there is no connection, or too much waits for it.
func (p *peer) put(add func([]byte) []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.connected || len(p.waiting) >= maxWait {
		return false
	}
	p.waiting = add(p.waiting)
	p.waits.Signal()
	return true
}

func (p *peer) run() {
	for wait := firstWait; p.running.Err() == nil; wait = min(2*wait, lastWait) {
		var dialer net.Dialer
		if conn, err := dialer.DialContext(p.running, "tcp", p.address); err == nil {
			p.write(conn)
			wait = firstWait
		}
		p.network.pass(wait)
	}
}

// write writes until the connection ends or the peer is left.
func (p *peer) write(conn net.Conn) {
	end := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.connected = false
		conn.Close()
		p.waits.Signal()
	}
	defer end()
	defer context.AfterFunc(p.running, end)()
	// Nothing comes back: what does is the connection's end.
	p.network.working.Go(func() {
		_, _ = io.Copy(io.Discard, conn)
		end()
	})
	name := p.network.Cluster
	hello := append(binary.LittleEndian.AppendUint32(nil, uint32(len(name))), name...)
	p.mu.Lock()
	p.waiting, p.connected = hello, true
	p.mu.Unlock()
	var spare []byte
	for {
		p.mu.Lock()
		for p.connected && len(p.waiting) == 0 {
			p.waits.Wait()
		}
		frames := p.waiting
		p.waiting = spare[:0]
		connected := p.connected
		p.mu.Unlock()
		if !connected {
			return
		}
		sent, err := conn.Write(frames)
		p.network.Counted.Bytes.Add(int64(sent))
		if err != nil {
			return
		}
		spare = frames
	}
}
