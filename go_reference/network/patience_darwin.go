package network

import "net"

// giveUp leaves it to the system when a connection ends.
func giveUp(net.Conn) error { return nil }
