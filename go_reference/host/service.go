package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"raftmark/lives"
	"raftmark/raft"
)

// A service answers requests, whatever they are about. One goroutine reads them and does what is
// done at once; what takes its time, a command's outcome or a workload, has a goroutine of its own.
type service struct {
	out      *output
	warn     io.Writer      // for people
	find     find           // what there is to be asked for
	outcomes sync.WaitGroup // that are to come
}

// A perform does what a request asks for, and find is that of an op's name.
type (
	perform func(id int, f *fields) (answer any, err error)
	find    func(op string) (perform, bool)
)

// An operation reads its fields, and then does what is asked. It returns the answer, nil if
// that comes later; after an error nothing has changed.
type operation[H any] func(h H, id int, f *fields) (answer any, err error)

// bind is the operation of that name, done by h.
func bind[H any](h H, operations map[string]operation[H], op string) (perform, bool) {
	operation, known := operations[op]
	return func(id int, f *fields) (any, error) { return operation(h, id, f) }, known
}

// serve answers the requests on in until it ends or one asks to quit, and then stops what begin
// began.
func serve(
	ctx context.Context, in io.Reader, out, warn io.Writer, begin func(*service) (find find, stop func()),
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &service{out: newOutput(out, cancel), warn: warn}
	defer s.out.close()
	find, stop := begin(s)
	s.find = find
	defer stop()
	lines := readLines(in, ctx.Done())
	for {
		select {
		case line := <-lines:
			if quit, err := s.handle(line); quit || err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// handle answers one line.
func (s *service) handle(line inputLine) (quit bool, err error) {
	switch {
	case errors.Is(line.err, io.EOF):
		return true, nil
	case errors.Is(line.err, errLineTooLong):
		s.refuse(nil, line.err)
		return false, nil
	case line.err != nil:
		return true, line.err
	case len(bytes.Trim(line.text, " \t\n\v\f\r")) == 0:
		return false, nil
	default:
		return s.answer(line.text), nil
	}
}

// answer answers a request, and reports whether that was to quit.
func (s *service) answer(line []byte) (quit bool) {
	r, err := parseRequest(line)
	perform, known := s.find(r.op)
	if err == nil && !known {
		err = badRequest("there is no op %.40q", r.op)
	}
	var answer any
	if err == nil {
		answer, err = perform(*r.id, r.fields)
	}
	switch {
	case err != nil:
		s.refuse(r.id, err)
	case answer != nil:
		s.out.put(reply{ID: r.id, OK: answer})
	}
	return r.op == "quit" && err == nil
}

// refuse answers with an error.
func (s *service) refuse(id *int, err error) {
	s.out.put(reply{ID: id, Error: describeError(err)})
}

// give answers with what came of a request, or with its error.
func (s *service) give(id int, answer any, err error) {
	if err != nil {
		s.refuse(&id, err)
	} else {
		s.out.put(reply{ID: &id, OK: answer})
	}
}

// await answers with an outcome once it comes, or after patience that it has not come in time.
func (s *service) await(
	id int, outcome <-chan raft.Outcome, patience time.Duration, answer func(raft.Outcome) any,
) {
	s.outcomes.Go(func() {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case o := <-outcome:
			s.give(id, answer(o), o.Err)
		case <-timer.C:
			s.refuse(&id, raft.Errorf(raft.OutcomeUnknown,
				"no outcome in time; a command may still be applied"))
		}
	})
}

// events are what nodes tell, with every message if there is to be a trace.
func (s *service) events(trace bool) lives.Events {
	events := lives.Events{
		RoleChanged: s.announce,
		Failed: func(id raft.NodeID, err error) {
			s.out.put(faultEvent{"fault", id, err.Error(), lives.Monotonic()})
			fmt.Fprintf(s.warn, "node %d ceased: %v\n", id, err)
		},
		EntriesLost: func(lost raft.LostEntries, leader raft.NodeID, atNs int64) {
			s.out.put(lossEvent{"entries_lost", lost.Node, lost.First, lost.Last, leader, atNs})
		},
		Repaired: func(id raft.NodeID, what string) { fmt.Fprintf(s.warn, "node %d: %s\n", id, what) },
	}
	if trace {
		events.Sent = s.tell
	}
	return events
}

func (s *service) announce(change lives.RoleChange) {
	s.out.put(roleEvent{
		Event:  "role",
		Node:   change.Node,
		Role:   change.Role,
		Term:   change.Term,
		Leader: orNull(change.Leader),
		AtNs:   change.AtNs,
	})
}

// What outcomes are answered with.
func applying(o raft.Outcome) any { return applied{o.Index, o.Term, o.Result} }

func reading(o raft.Outcome) any { return value{o.Index, o.Result} }
