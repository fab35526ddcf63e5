package network

import (
	"net"

	"golang.org/x/sys/unix"
)

// giveUp lets a connection end when what was sent is not answered for so long. The system itself
// would try the same connection for minutes, ever more seldom.
func giveUp(conn net.Conn) error {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unanswered.Milliseconds()))
	})
	if err == nil {
		err = failed
	}
	return err
}
