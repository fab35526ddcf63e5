package adapter

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"raftmark/host"
	"raftmark/workload"
)

// Main is a node program's: it has no arguments but those that [workload.StartSender] gives it and
// what form says. No library's transport knows a secret, so that its nodes listen on loopback alone.
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
