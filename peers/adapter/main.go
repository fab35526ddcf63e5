package adapter

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"raftmark/host"
	"raftmark/raft"
	"raftmark/workload"
)

// Main is a node program's: it has no arguments but those that [workload.StartSender] gives it and
// what form says.
func Main(name string, form func(arguments []string) (host.Model, error)) {
	if len(os.Args) > 1 && os.Args[1] == workload.SendArgument {
		if err := workload.Send(os.Stdout, os.Args[2:]); err != nil {
			fail(name, err, 1)
		}
		return
	}
	model, err := form(os.Args[1:])
	if err != nil {
		fail(name, err, 2)
	}
	os.Exit(host.Run(name, func(ctx context.Context, in io.Reader, out, warn io.Writer) error {
		return host.ServeNode(ctx, model, nil, in, out, warn)
	}))
}

func fail(name string, err error, status int) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(status)
}

// Version is a module's path with the version that the program was built with.
func Version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return module + " " + dependency.Version
			}
		}
	}
	return module
}

// Place refuses what no library's transport gives: a cluster that strangers cannot enter.
func Place(place host.Place) error {
	if place.Secret != nil {
		return raft.Errorf(raft.BadRequest, "the library's transport knows no secret")
	}
	return nil
}
