package main

import (
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"raftmark/peers/adapter"
)

// A listener is the node's port, which stays through all its lives: who dials while there is none is
// hung up on.
type listener struct {
	net.Listener
	node    *adapter.Surroundings
	working sync.WaitGroup
	closed  chan struct{}

	mu     sync.Mutex
	stream *stream // of the present life
}

func listen(socket net.Listener, node *adapter.Surroundings) *listener {
	l := &listener{Listener: socket, node: node, closed: make(chan struct{})}
	l.working.Go(func() { adapter.Accept(socket, l.closed, l.take) })
	return l
}

func (l *listener) take(conn net.Conn) {
	l.mu.Lock()
	stream := l.stream
	l.mu.Unlock()
	if stream == nil || !stream.take(conn) {
		conn.Close()
	}
}

func (l *listener) end() error {
	close(l.closed)
	err := l.Close()
	l.working.Wait()
	return err
}

// A stream is the library's StreamLayer of one life, which ends with all its connections.
type stream struct {
	listener *listener
	arrived  chan net.Conn
	ended    chan struct{}

	mu    sync.Mutex
	conns map[*connection]bool // nil once it has ended
}

func (l *listener) begin() *stream {
	return &stream{
		listener: l,
		arrived:  make(chan net.Conn),
		ended:    make(chan struct{}),
		conns:    map[*connection]bool{},
	}
}

// open lets the stream have what is dialled from now on.
func (s *stream) open() {
	s.listener.mu.Lock()
	defer s.listener.mu.Unlock()
	s.listener.stream = s
}

func (s *stream) take(conn net.Conn) bool {
	select {
	case s.arrived <- conn:
		return true
	case <-s.ended:
		return false
	}
}

// Accept implements net.Listener.
func (s *stream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.arrived:
		return s.keep(conn)
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

// Dial implements raft.StreamLayer.
func (s *stream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", string(address), timeout)
	if err != nil {
		return nil, err
	}
	return s.keep(conn)
}

// Addr implements net.Listener.
func (s *stream) Addr() net.Addr { return s.listener.Addr() }

// Close implements net.Listener; it ends all connections too.
func (s *stream) Close() error {
	s.listener.mu.Lock()
	if s.listener.stream == s {
		s.listener.stream = nil
	}
	s.listener.mu.Unlock()
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	if conns != nil {
		close(s.ended)
	}
	for conn := range conns {
		conn.Conn.Close()
	}
	return nil
}

func (s *stream) keep(conn net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		conn.Close()
		return nil, net.ErrClosed
	}
	kept := &connection{conn, s}
	s.conns[kept] = true
	return kept, nil
}

// A connection counts what is sent, and neither sends nor receives while the node hangs.
type connection struct {
	net.Conn
	stream *stream
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.stream.listener.node.Pass()
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	node := c.stream.listener.node
	node.Pass()
	n, err := c.Conn.Write(b)
	node.Counted.Bytes.Add(int64(n))
	return n, err
}

func (c *connection) Close() error {
	c.stream.mu.Lock()
	delete(c.stream.conns, c)
	c.stream.mu.Unlock()
	return c.Conn.Close()
}
