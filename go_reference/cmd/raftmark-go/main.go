// Command raftmark-go is a contender: it runs Raft clusters of goroutines, and speaks the
// protocol of docs/protocol.md on its standard input and output.
//
// It exits with 0 at the end of its input, and with 128 + the signal's number when SIGINT,
// SIGTERM or SIGHUP ends it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"raftmark/cluster"
	"raftmark/host"
	"raftmark/lives"
	"raftmark/raft"
)

// An interruption is the signal that ended the program.
type interruption struct{ syscall.Signal }

func (i interruption) Error() string { return i.String() }

var goroutines = host.Model{
	Name: "go",
	Start: func(config lives.Config, nodes []raft.NodeID, events lives.Events) (host.Cluster, error) {
		return cluster.Start(config, nodes, events)
	},
}

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "raftmark-go takes no arguments; it reads requests from its standard input")
		os.Exit(2)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { cancel(interruption{(<-signals).(syscall.Signal)}) }()

	err := host.Serve(ctx, goroutines, os.Stdin, os.Stdout, os.Stderr)
	if interrupted := (interruption{}); errors.As(err, &interrupted) {
		fmt.Fprintln(os.Stderr, "raftmark-go: ended by", unix.SignalName(interrupted.Signal))
		os.Exit(128 + int(interrupted.Signal))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "raftmark-go:", err)
		os.Exit(1)
	}
}
