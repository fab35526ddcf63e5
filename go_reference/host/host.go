// Package host serves a cluster, of whatever model, by the protocol of docs/protocol.md.
package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
)

// A host answers requests. One goroutine reads them and does what is done at once; what
// takes its time, a command's outcome or a workload, has a goroutine of its own.
type host struct {
	model   Model
	out     *output
	warn    io.Writer      // for people
	control *control       // nil while no cluster runs
	submits sync.WaitGroup // whose outcomes are to come
}

// Serve answers the requests on in, with clusters of that model, until it ends or one asks to quit. It fails when ctx
// ends, or when reading or writing does. In any case no cluster is left running.
func Serve(ctx context.Context, model Model, in io.Reader, out, warn io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := &host{model: model, out: newOutput(out, cancel), warn: warn}
	defer h.out.close()
	defer h.stopCluster()
	lines := readLines(in, ctx.Done())
	for {
		select {
		case line := <-lines:
			if quit, err := h.handle(line); quit || err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// handle answers one line.
func (h *host) handle(line inputLine) (quit bool, err error) {
	switch {
	case errors.Is(line.err, io.EOF):
		return true, nil
	case errors.Is(line.err, errLineTooLong):
		h.refuse(nil, line.err)
		return false, nil
	case line.err != nil:
		return true, line.err
	case len(bytes.Trim(line.text, " \t\n\v\f\r")) == 0:
		return false, nil
	default:
		return h.answer(line.text), nil
	}
}

// answer answers a request, and reports whether that was to quit.
func (h *host) answer(line []byte) (quit bool) {
	r, err := parseRequest(line)
	perform, known := operations[r.op]
	if err == nil && !known {
		err = badRequest("there is no op %.40q", r.op)
	}
	var answer any
	if err == nil {
		answer, err = perform(h, *r.id, r.fields)
	}
	switch {
	case err != nil:
		h.refuse(r.id, err)
	case answer != nil:
		h.out.put(reply{ID: r.id, OK: answer})
	}
	return r.op == "quit" && err == nil
}

// refuse answers with an error.
func (h *host) refuse(id *int, err error) {
	h.out.put(reply{ID: id, Error: describeError(err)})
}

// stopCluster ends the cluster, if there is one, after which nothing is left to be answered.
func (h *host) stopCluster() {
	if h.control != nil {
		h.control.stop()
		h.submits.Wait()
		h.control = nil
	}
}
