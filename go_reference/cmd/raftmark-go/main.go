// Command raftmark-go is a contender: it runs Raft clusters of goroutines, and speaks the
// protocol of docs/protocol.md on its standard input and output.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"raftmark/host"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "raftmark-go takes no arguments; it reads requests from its standard input")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := host.Serve(ctx, os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "raftmark-go:", err)
		os.Exit(1)
	}
}
