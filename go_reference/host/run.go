package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// gcPercent is GOGC where nobody sets it. A log only grows, so that at the default of 100 much of it
// is looked through again and again; the Python contenders run without the collector that would.
const gcPercent = 400

// An interruption is the signal that ended the program.
type interruption struct{ syscall.Signal }

func (i interruption) Error() string { return i.String() }

// Run serves the standard streams as a program of that name, which a signal ends, and returns its
// exit status.
func Run(
	program string, serve func(ctx context.Context, in io.Reader, out, warn io.Writer) error,
) (status int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { cancel(interruption{(<-signals).(syscall.Signal)}) }()

	err := serve(ctx, os.Stdin, os.Stdout, os.Stderr)
	if interrupted := (interruption{}); errors.As(err, &interrupted) {
		fmt.Fprintf(os.Stderr, "%s: ended by %s\n", program, unix.SignalName(interrupted.Signal))
		return 128 + int(interrupted.Signal)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		return 1
	}
	return 0
}
