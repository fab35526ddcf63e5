// Command raftmark-go is a contender: it runs Raft clusters of goroutines, and speaks the
// protocol of docs/protocol.md on its standard input and output. As `raftmark-go loop` it is
// another one, which runs all nodes of a cluster in an event loop.
//
// As `raftmark-go node` it hosts one node, whose peers are programs of their own, and speaks the
// protocol's per-node part. With `--secret-file FILE`, or RAFTMARK_SECRET in its environment, it
// speaks to none but those peers that have the same secret.
//
// As `raftmark-go replay RECORDING` it gives its core what is recorded there, and prints what that
// took.
//
// It exits with 0 at the end of its input, and with 128 + the signal's number when SIGINT,
// SIGTERM or SIGHUP ends it.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"raftmark/cluster"
	"raftmark/host"
	"raftmark/lives"
	"raftmark/loop"
	"raftmark/raft"
	"raftmark/replay"
	"raftmark/workload"
)

var goroutines = host.Model{
	Name: "go",
	Start: func(config lives.Config, nodes []raft.NodeID, events lives.Events) (host.Cluster, error) {
		return cluster.Start(config, nodes, events)
	},
	Deploy: host.OverTCP(cluster.Deploy),
}

var eventLoop = host.Model{
	Name: "go-loop",
	Start: func(config lives.Config, nodes []raft.NodeID, events lives.Events) (host.Cluster, error) {
		return loop.Start(config, nodes, events)
	},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == workload.SendArgument {
		if err := workload.Send(os.Stdout, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "raftmark-go:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "replay" {
		if err := replay.Main(os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "raftmark-go:", err)
			os.Exit(1)
		}
		return
	}
	serve, err := service(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "raftmark-go:", err)
		os.Exit(2)
	}
	os.Exit(host.Run("raftmark-go", serve))
}

// service is what the arguments ask for.
func service(arguments []string) (func(context.Context, io.Reader, io.Writer, io.Writer) error, error) {
	model := goroutines
	if len(arguments) == 1 && arguments[0] == "loop" {
		model, arguments = eventLoop, nil
	}
	if len(arguments) == 0 {
		return func(ctx context.Context, in io.Reader, out, warn io.Writer) error {
			return host.Serve(ctx, model, in, out, warn)
		}, nil
	}
	if arguments[0] != "node" {
		return nil, fmt.Errorf("unknown argument %q: there is `node` or `loop`, or none", arguments[0])
	}
	flags := flag.NewFlagSet("raftmark-go node", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("secret-file", "", "")
	if err := flags.Parse(arguments[1:]); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q: there is --secret-file FILE", flags.Arg(0))
	}
	secret, err := secret(*file)
	return func(ctx context.Context, in io.Reader, out, warn io.Writer) error {
		return host.ServeNode(ctx, goroutines, secret, in, out, warn)
	}, err
}

const (
	secretVariable = "RAFTMARK_SECRET"
	leastSecret    = 16
	mostSecret     = 4096
)

// secret is that of the file, or where none is named, of the environment, in which it does not
// stay; nil for none.
func secret(file string) ([]byte, error) {
	text, given := os.LookupEnv(secretVariable)
	if err := os.Unsetenv(secretVariable); err != nil {
		return nil, err
	}
	secret, source := []byte(text), secretVariable
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the secret file: %w", err)
		}
		secret, source, given = content, file, true
	}
	if !given {
		return nil, nil
	}
	secret = bytes.TrimSpace(secret)
	if len(secret) < leastSecret || len(secret) > mostSecret {
		return nil, fmt.Errorf("a secret has %d to %d bytes, not %s", leastSecret, mostSecret, source)
	}
	return secret, nil
}
