// Package serving serves a node's clients: a goroutine for each connection, which does nothing else.
//
// It reads commands, gives them to the node, waits for their outcomes and writes the answers: a
// client that does not take them holds up its own goroutine, and one that sends much has no more
// under way than its share.
package serving

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"raftmark/clientport"
	"raftmark/raft"
)

const (
	handshakeTime = 5 * time.Second
	// lookTime is after how long a wait for the node it is looked whether the client still waits.
	lookTime = time.Second
	// bufferSize is what the system keeps for a client, either way: it would let that grow to
	// megabytes, for each who sends or does not read.
	bufferSize = 64 << 10
)

// Config is what a service is made with.
type Config struct {
	Node   raft.NodeID
	Secret []byte // which clients have to have, or nobody; nil for none
	// Propose gives a command to the node; it never waits, nor may what hears the outcome.
	Propose func(raft.Proposal)
	// Refused hears why a connection was refused or thrown away. It must not block.
	Refused func(reason string)
}

// A Service is a node's client port, through all its lives.
type Service struct {
	clientport.Port
	config   Config
	listener net.Listener
	running  context.Context
	stop     context.CancelFunc
	working  sync.WaitGroup // all of the service's goroutines
}

// Listen listens on an address, "127.0.0.1:0" for instance, and serves who connects.
func Listen(address string, config Config) (*Service, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Service{
		Port:     clientport.Port{Node: config.Node, Secret: config.Secret},
		config:   config,
		listener: listener,
	}
	s.running, s.stop = context.WithCancel(context.Background())
	s.working.Go(s.accept)
	return s, nil
}

// Address is the one that it listens on.
func (s *Service) Address() string { return s.listener.Addr().String() }

// Close ends every connection; afterwards no goroutine or socket is left.
func (s *Service) Close() {
	s.stop()
	s.listener.Close()
	s.working.Wait()
}

func (s *Service) accept() {
	for {
		conn, err := s.listener.Accept()
		if s.running.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			// Of files there may be enough again when others have ended.
			s.config.Refused(fmt.Sprintf("a client cannot be taken: %v", err))
			select {
			case <-time.After(time.Second / 10):
			case <-s.running.Done():
			}
			continue
		}
		s.working.Go(func() { s.serve(conn) })
	}
}

// serve serves a connection until it ends, or the service does.
func (s *Service) serve(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(s.running, func() { conn.Close() })()
	reader := clientport.NewReader(conn)
	tcp := conn.(*net.TCPConn)
	err := errors.Join(tcp.SetReadBuffer(bufferSize), tcp.SetWriteBuffer(bufferSize))
	var session string
	if err == nil {
		session, err = s.welcome(conn, reader)
	}
	if err == nil {
		err = s.answer(conn, reader, session)
	}
	if err == nil || ended(err) || s.running.Err() != nil {
		return
	}
	s.config.Refused("a client: " + err.Error())
	// Who does not hear why has gone.
	_, _ = conn.Write(clientport.AppendClosing(nil, err.Error()))
}

func (s *Service) welcome(conn net.Conn, reader *clientport.Reader) (session string, err error) {
	if err = conn.SetDeadline(time.Now().Add(handshakeTime)); err == nil {
		session, err = s.Welcome(conn, reader)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("no handshake in time")
	}
	if err != nil {
		return "", err
	}
	return session, conn.SetDeadline(time.Time{})
}

// An answered command has come to an outcome.
type answered struct {
	serial  uint64
	outcome raft.Outcome
}

// answer has what comes carried out, a share at a time, and answers it.
func (s *Service) answer(conn net.Conn, reader *clientport.Reader, session string) error {
	outcomes := make(chan answered, clientport.MaxInFlight)
	look := time.NewTimer(lookTime)
	defer look.Stop()
	var frames []byte
	for {
		proposed := 0
		for proposed == 0 || proposed < clientport.MaxInFlight && reader.Waiting() {
			command, err := reader.Command(&session)
			if err != nil {
				return err
			}
			s.config.Propose(raft.Proposal{Command: command, Done: func(o raft.Outcome) {
				outcomes <- answered{command.Serial, o}
			}})
			proposed++
		}
		frames = frames[:0]
		look.Reset(lookTime)
		for proposed > 0 {
			select {
			case a := <-outcomes:
				frames = s.AppendOutcome(frames, a.serial, a.outcome)
				proposed--
			case <-look.C:
				if reader.Ended(conn) {
					return nil // What it has asked is carried out all the same.
				}
				look.Reset(lookTime)
			case <-s.running.Done():
				return nil
			}
		}
		if _, err := conn.Write(frames); err != nil {
			return err
		}
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
