// Command clients is the load of many clients on a deployed cluster: see docs/protocol.md, *service*.
//
// It reads what it is asked for from its standard input, a line of JSON. Once all clients are
// connected it prints a line that says so, and waits for another line; then they send, and it prints
// what was measured, a line of JSON too. They stay connected until its input ends: what it costs a
// node to part from thousands is no part of what it costs to serve them. Where a cluster wants a secret, that is in RAFTMARK_SECRET.
// It exits with 1, and says why, where not all can connect or a command has no answer; with 2 where
// it is asked for what cannot be.
package main

import (
	"bufio"
	"encoding/json/v2"
	"fmt"
	"os"
	"sync/atomic"

	"raftmark/clients"
)

type connected struct {
	Event       string `json:"event"`
	ConnectedNs int64  `json:"connected_ns"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	var spec *clients.Spec
	if err == nil {
		spec, err = clients.Parse(line)
	}
	if err != nil {
		fail(2, err)
	}
	spec.Secret = os.Getenv("RAFTMARK_SECRET")
	load, err := clients.Connect(spec)
	if err != nil {
		fail(1, err)
	}
	say(connected{"connected", load.Connected.Nanoseconds()})
	if _, err := in.ReadBytes('\n'); err != nil {
		load.Close() // Whoever wanted it has gone.
		fail(1, err)
	}
	var told atomic.Bool
	go func() {
		_, err := in.ReadByte() // Whoever wants it says no more: this is the end of its life.
		if told.Load() {
			os.Exit(0)
		}
		fail(1, err)
	}()
	result, err := load.Run()
	if err != nil {
		fail(1, err)
	}
	told.Store(true)
	say(result)
	select {}
}

func say(value any) {
	line, err := json.Marshal(value)
	if err == nil {
		_, err = fmt.Printf("%s\n", line)
	}
	if err != nil {
		fail(1, err)
	}
}

func fail(status int, err error) {
	fmt.Fprintln(os.Stderr, "clients:", err)
	os.Exit(status)
}
