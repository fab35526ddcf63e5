package adapter

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A scripted listener has these, each a connection or an error.
type scripted struct {
	net.Listener
	script []any
}

func (s *scripted) Accept() (net.Conn, error) {
	next := s.script[0]
	s.script = s.script[1:]
	if err, failed := next.(error); failed {
		return nil, err
	}
	return next.(net.Conn), nil
}

func TestAFailureToAcceptIsNotTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := net.Pipe()
		defer conn.Close()
		defer peer.Close()
		full, done := errors.New("too many open files"), make(chan struct{})
		var taken []net.Conn
		began := time.Now()
		Accept(&scripted{script: []any{full, conn, full, net.ErrClosed}}, done, func(conn net.Conn) {
			taken = append(taken, conn)
			close(done)
		})
		if len(taken) != 1 || taken[0] != conn {
			t.Errorf("took %v", taken)
		}
		// The failure that came when it was done let nobody wait.
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("waited for %v", waited)
		}
	})
}

func TestSavesAreCountedWithTheirTimeAndEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counters, began := &Counters{}, time.Now()
		time.Sleep(time.Millisecond)
		counters.Saved(began, 3)
		counters.Saved(time.Now(), 0)
		counters.Messages.Add(2)
		counters.Bytes.Add(5)
		sums := counters.Sums()
		if sums.Saves != 2 || sums.SaveNs != 1e6 || sums.Entries != 3 || sums.Messages != 2 || *sums.Bytes != 5 {
			t.Errorf("%+v", sums)
		}
	})
}
