package adapter

import (
	"errors"
	"net"
	"time"
)

// Accept hands on each connection that a listener has, one after the other, until it is closed. After
// a failure it waits a moment, though not once it is done.
func Accept(listener net.Listener, done <-chan struct{}, take func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			take(conn)
		default:
			// Of files there may be enough again when others have ended.
			select {
			case <-time.After(time.Second):
			case <-done:
			}
		}
	}
}
